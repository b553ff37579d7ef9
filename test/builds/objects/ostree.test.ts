import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { elementsOf, membersOf, textOf } from '../../../functions/builds/objects/gvariant.ts';
import { parseCommit } from '../../../functions/builds/objects/ostree-commit.ts';
import { parseDirtree, type OstreeTree } from '../../../functions/builds/objects/ostree-tree.ts';
import { Problem } from '../../../functions/runtime/errors.ts';
import { commits, dirmeta, files, folders, type GoldenObject } from './ostree-golden.ts';

const checksum = ({ name }: GoldenObject) => name.slice(0, 64);

describe('a commit as libostree wrote it', () => {
  it('names its tree, and the commit before it', () => {
    expect(parseCommit(commits.last.bytes)).toEqual({
      tree: checksum(folders.root),
      meta: checksum(dirmeta),
      parent: checksum(commits.first),
    });
  });

  it('names no commit before it where it is the first', () => {
    expect(Object.keys(parseCommit(commits.first.bytes))).toEqual(['tree', 'meta']);
  });
});

describe('a folder as libostree wrote it', () => {
  it('holds files and folders, by name', () => {
    expect(parseDirtree(folders.root.bytes)).toEqual({
      files: [{ name: 'metadata', checksum: checksum(files.metadata) }],
      dirs: [
        { name: 'export', tree: checksum(folders.emptyFolder), meta: checksum(dirmeta) },
        { name: 'files', tree: checksum(folders.files), meta: checksum(dirmeta) },
      ],
    });
    const { files: inner, dirs } = parseDirtree(folders.files.bytes);
    expect(Object.fromEntries(inner.map((file) => [file.name, file.checksum]))).toEqual({
      attributes: checksum(files.attributes),
      empty: checksum(files.empty),
      'hello.txt': checksum(files.plain),
      link: checksum(files.symlink),
      'long-link': checksum(files.longSymlink),
      'on-the-edge': checksum(files.onTheEdge),
      'one-attribute': checksum(files.attribute),
      owned: checksum(files.owned),
      second: checksum(files.second),
      zeros: checksum(files.zeros),
    });
    expect(dirs).toEqual([{ name: 'bin', tree: checksum(folders.bin), meta: checksum(dirmeta) }]);
  });

  it('may be empty', () => {
    expect(parseDirtree(folders.emptyFolder.bytes)).toEqual({ files: [], dirs: [] });
  });
});

/** The form by its specification, written a second time, so that the reader is not checked by itself. */
function container(members: readonly Buffer[], framed: readonly number[]): Buffer {
  const content = Buffer.concat(members);
  const ends = framed.map((index) => members.slice(0, index + 1).reduce((sum, { length }) => sum + length, 0));
  const width = [1, 2, 4].find((size) => content.length + size * ends.length <= 256 ** size - 1) ?? 8;
  const offset = (end: number) => {
    const bytes = Buffer.alloc(width);
    bytes.writeUIntLE(end, 0, width);
    return bytes;
  };
  return Buffer.concat([content, ...ends.map(offset)]);
}
const array = (elements: readonly Buffer[]) => container(elements, [...elements.keys()]);
const text = (value: string) => Buffer.from(`${value}\0`);
const hash = (hex: string) => Buffer.from(hex, 'hex');
function encoded(tree: OstreeTree): Buffer {
  const inner = tree.files.map(({ name, checksum }) => container([text(name), hash(checksum)], [0]));
  const dirs = tree.dirs.map(({ name, tree, meta }) => container([text(name), hash(tree), hash(meta)], [1, 0]));
  return container([array(inner), array(dirs)], [0]);
}

const sha = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const name = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
  .filter((value) => value.isWellFormed() && !/[/\0]/.test(value) && value !== '.' && value !== '..');
const trees = fc
  .uniqueArray(fc.record({ name, checksum: sha, meta: sha, isFolder: fc.boolean() }), {
    selector: (entry) => entry.name,
    maxLength: 40,
  })
  .map((entries): OstreeTree => {
    const inner = entries.filter(({ isFolder }) => !isFolder).map(({ name, checksum }) => ({ name, checksum }));
    const dirs = entries.filter(({ isFolder }) => isFolder);
    return { files: inner, dirs: dirs.map(({ name, checksum, meta }) => ({ name, tree: checksum, meta })) };
  });

describe('a folder of any content', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(trees, (tree) => {
        expect(parseDirtree(encoded(tree))).toEqual(tree);
      }),
    );
  });

  it('is read as it was written, where its size needs more bytes', () => {
    const many = (count: number): OstreeTree => ({
      files: Array.from({ length: count }, (_, at) => ({ name: `file-${at}`, checksum: checksum(files.plain) })),
      dirs: [{ name: 'dir', tree: checksum(folders.bin), meta: checksum(dirmeta) }],
    });
    for (const tree of [many(5), many(1000), many(5000)]) expect(parseDirtree(encoded(tree))).toEqual(tree);
  });

  it.each(['', '.', '..', 'a/b', '/', '../../etc/passwd'])('does not hold the name %j', (bad) => {
    const entry = { name: bad, checksum: checksum(files.plain) };
    const dir = { name: bad, tree: checksum(folders.bin), meta: checksum(dirmeta) };
    for (const tree of [
      { files: [entry], dirs: [] },
      { files: [], dirs: [dir] },
    ])
      expect(() => parseDirtree(encoded(tree))).toThrow('which would lead elsewhere');
  });

  it('does not hold a name twice, or one with a NUL, or one that is not UTF-8', () => {
    const entry = { name: 'a', checksum: checksum(files.plain) };
    const dir = { name: 'a', tree: checksum(folders.bin), meta: checksum(dirmeta) };
    expect(() => parseDirtree(encoded({ files: [entry], dirs: [dir] }))).toThrow('it holds the name "a" twice');
    expect(() => parseDirtree(encoded({ files: [{ ...entry, name: 'a\0b' }], dirs: [] }))).toThrow(Problem);
    const broken = container(
      [array([container([Buffer.from([0xff, 0]), hash(entry.checksum)], [0])]), Buffer.alloc(0)],
      [0],
    );
    expect(() => parseDirtree(broken)).toThrow('not well-formed');
  });

  it('does not hold a checksum of another length', () => {
    const short = { name: 'a', checksum: checksum(files.plain).slice(2) };
    expect(() => parseDirtree(encoded({ files: [short], dirs: [] }))).toThrow('a checksum that is not 32 bytes long');
  });
});

/** Whatever it reads: a value, or a problem that says so. */
function outcome(read: () => unknown): unknown {
  try {
    return typeof read();
  } catch (error) {
    return error instanceof Problem ? error.kind : error;
  }
}

describe('bytes of a stranger', () => {
  const parsers = [
    parseCommit,
    parseDirtree,
    elementsOf,
    textOf,
    (bytes: Buffer) => membersOf(bytes, ['t', 'u', 'u', 'u', 'u', 's', 'a(ayay)']),
  ];

  it('are read or refused, whatever they are', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc.array(fc.constantFrom(0, 1, 2, 8, 16, 32, 254, 255), { maxLength: 300 }).map((list) => Uint8Array.from(list)),
    );
    fc.assert(
      fc.property(bytes, fc.constantFrom(...parsers), (some, parse) => {
        expect(['object', 'string', 'invalid']).toContain(outcome(() => parse(Buffer.from(some))));
      }),
      { numRuns: 5000 },
    );
  });

  it('are read or refused where a byte of a good one was changed, or its end is lost', () => {
    const good = [commits.first, commits.last, ...Object.values(folders)].map(({ bytes }) => bytes);
    fc.assert(
      fc.property(fc.constantFrom(...good), fc.nat(), fc.option(fc.nat({ max: 255 })), (bytes, at, value) => {
        const isCut = value === null;
        const other = Buffer.from(isCut ? bytes.subarray(0, at % bytes.length) : bytes);
        if (!isCut) other[at % other.length] = value;
        for (const parse of [parseCommit, parseDirtree])
          expect(['object', 'invalid']).toContain(outcome(() => parse(other)));
      }),
      { numRuns: 3000 },
    );
  });

  it('are refused where GLib would see something else: ends that go back, overlap or lie outside', () => {
    const member = Buffer.from('abc\0');
    expect(outcome(() => elementsOf(Buffer.concat([member, member, Buffer.from([8, 4])])))).toBe('invalid');
    expect(outcome(() => elementsOf(Buffer.concat([member, member, Buffer.from([6, 3, 8])])))).toBe('invalid');
    expect(outcome(() => elementsOf(Buffer.concat([member, Buffer.from([9])])))).toBe('invalid');
    expect(outcome(() => elementsOf(Buffer.concat([member, member, Buffer.from([4, 8])])))).toBe('object');
  });

  it('take no longer than their length allows', () => {
    // As many ends as fit, all of them the same: a reader that copied what lies before each would not end.
    const size = 4 * 1024 * 1024;
    const ends = Buffer.alloc(size);
    expect(elementsOf(ends)).toHaveLength(size / 4);
    expect(outcome(() => parseDirtree(Buffer.concat([ends, Buffer.alloc(4, 0xff)])))).toBe('invalid');
  });
});
