import { execFile } from 'node:child_process';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, it } from 'vitest';
import { parseCommit, parseTree } from '../../cli/push/gvariant.ts';
import { commits, dirmeta, files, folders } from '../builds/objects/ostree-golden.ts';
import { noise } from './packages.ts';
import { pushing } from './pushing.ts';

const { service, inFolder, push, pushed, write } = pushing();
const run = promisify(execFile);
const hasOstree = await run('ostree', ['--version']).then(
  () => true,
  () => false,
);

const stable = 'app/org.example.App/x86_64/stable';
const beta = 'app/org.example.App/x86_64/beta';
const hexOf = ({ name }: { name: string }) => name.slice(0, 64);
const reachable = [commits.last, dirmeta, ...Object.values(folders), ...Object.values(files)];

/** A repository in archive mode of the objects that libostree wrote. */
async function repository(refs: Record<string, string> = { [stable]: hexOf(commits.last) }): Promise<string> {
  const objects = [...reachable, commits.first];
  return await write(
    new Map([
      ['config', Buffer.from('[core]\nrepo_version=1\nmode=archive-z2\n')],
      ...Object.entries(refs).map(([ref, commit]) => [`refs/heads/${ref}`, Buffer.from(`${commit}\n`)] as const),
      ...objects.map(({ name, bytes }) => [`objects/${name.slice(0, 2)}/${name.slice(2)}`, bytes] as const),
    ]),
    'repo',
  );
}

describe('pushing an OSTree repository', () => {
  it('sends all that its refs need, and nothing else', async () => {
    const { kind, refs, objects } = await pushed(await repository());
    expect({ kind, refs }).toEqual({ kind: 'ostree', refs: [{ ref: stable, commit: hexOf(commits.last) }] });
    const known = reachable.filter(({ name }) => service().objects.has(name));
    expect(objects).toEqual({ total: known.length, sent: known.length, skipped: 0 });
    expect(service().objects.size).toBe(known.length);
    for (const { name, bytes } of [commits.last, dirmeta, folders.root, files.plain, files.symlink]) {
      expect(service().objects.get(name)?.equals(bytes)).toBe(true);
    }
    expect(service().objects.has(commits.first.name)).toBe(false);
    expect(service().refs.get(stable)).toEqual({ ref: stable, commit: hexOf(commits.last), kind: 'ostree' });
  });

  it('pushes the refs it is told to, and those of apps, runtimes and screenshots where it is told none', async () => {
    const commit = hexOf(commits.last);
    const repo = await repository({ [stable]: commit, [beta]: commit, 'test/other': commit });
    expect((await pushed(repo, '--branch', beta)).refs).toEqual([{ ref: beta, commit }]);
    expect((await pushed(repo)).refs.map(({ ref }) => ref)).toEqual([beta, stable]);
    expect(await push(repo, '--branch', 'nope')).toMatchObject({
      code: 2,
      err: expect.stringContaining(`has no ref nope. It has: ${beta}, ${stable}, test/other.`),
    });
  });

  it('takes the delta from nothing to a commit along', async () => {
    const repo = await repository();
    const encoded = Buffer.from(hexOf(commits.last), 'hex').toString('base64').replaceAll('/', '_').replace('=', '');
    const place = join(repo, 'deltas', encoded.slice(0, 2), encoded.slice(2));
    await mkdir(place, { recursive: true });
    const part = noise('delta', 1_500_000);
    await writeFile(join(place, 'superblock'), 'super');
    await writeFile(join(place, '0'), part);
    await pushed(repo);
    expect(String(service().objects.get(`${encoded}.superblock.delta`))).toBe('super');
    expect(service().object(`${encoded}.0.delta`).equals(part)).toBe(true);
  });

  it.each([
    ['lacks a file', async (repo: string) => await rm(objectIn(repo, files.plain.name)), `lacks ${files.plain.name}`],
    ['lacks a tree', async (repo: string) => await rm(objectIn(repo, folders.bin.name)), `lacks ${folders.bin.name}`],
    [
      'has a damaged tree',
      async (repo: string) => await writeFile(objectIn(repo, folders.root.name), 'x'),
      'has other bytes than its name says',
    ],
    [
      'is in another mode',
      async (repo: string) => await writeFile(join(repo, 'config'), '[core]\nmode=bare-user\n'),
      'is no OSTree repository in archive mode but in bare-user',
    ],
    [
      'has no refs',
      async (repo: string) => await rm(join(repo, 'refs'), { recursive: true }),
      'has no refs under app/',
    ],
  ])('refuses one that %s before anything is sent', async (_what, spoil, expected) => {
    const repo = await repository();
    await spoil(repo);
    expect(await push(repo)).toMatchObject({ code: 2, err: expect.stringContaining(expected) });
    expect(service().receivedBytes).toBe(0);
  });
  const objectIn = (repo: string, name: string) => join(repo, 'objects', name.slice(0, 2), name.slice(2));
});

describe.skipIf(!hasOstree)('pushing a repository that ostree made here (skipped where it is not installed)', () => {
  let repo: string;
  beforeEach(async () => {
    const tree = await write(
      new Map([
        ...Array.from({ length: 2100 }, (_, index) => [`many/f${index}`, Buffer.from(`file ${index}`)] as const),
        ['a/b/c/deep', Buffer.from('deep')],
        ['big', noise('big', 2_500_000)],
      ]),
      'tree',
    );
    repo = inFolder('repo');
    await run('ostree', [`--repo=${repo}`, 'init', '--mode=archive']);
    await run('ostree', [`--repo=${repo}`, 'commit', `--branch=${stable}`, '--subject=One', `--tree=dir=${tree}`]);
  });

  it('sends every object of it, what is large in parts with its digest, and asks for 2,000 names a call', async () => {
    const { objects } = await pushed(repo);
    const folders = await readdir(join(repo, 'objects'));
    const paths = await Promise.all(folders.map(async (name) => await readdir(join(repo, 'objects', name))));
    const names = folders.flatMap((folder, index) => (paths[index] ?? []).map((rest) => folder + rest));
    expect(objects.total).toBe(names.length);
    for (const name of names) expect(service().has(name)).toBe(true);
    expect(service().calls('POST uploads').length).toBeGreaterThan(0);
    const asked = service().calls('QUERY missing_objects');
    expect(asked.every(({ headers }) => headers['content-encoding'] === 'gzip')).toBe(true);
    expect(asked.length).toBeGreaterThanOrEqual(4);
    // Never more than 4 MiB or 250 objects a request.
    expect(service().calls('POST upload').length).toBeGreaterThan(2100 / 250);
    expect(
      Math.max(
        ...service()
          .calls('POST upload')
          .map(({ bytes }) => bytes.length),
      ),
    ).toBeLessThan(4.2 * 1024 ** 2);
  });
});

describe('the reader of commits and trees', () => {
  it('reads what libostree wrote', () => {
    expect(parseCommit(commits.last.bytes)).toEqual({ tree: hexOf(folders.root), meta: hexOf(dirmeta) });
    expect(parseTree(folders.root.bytes)).toEqual({
      files: [hexOf(files.metadata)],
      folders: [
        { tree: hexOf(folders.emptyFolder), meta: hexOf(dirmeta) },
        { tree: hexOf(folders.files), meta: hexOf(dirmeta) },
      ],
    });
    expect(parseTree(folders.emptyFolder.bytes)).toEqual({ files: [], folders: [] });
  });

  it('never reads beyond what it was given, however it is damaged', () => {
    for (const { bytes } of [folders.root, folders.files, commits.last]) {
      for (let length = 0; length < bytes.length; length++) {
        for (const parse of [parseTree, parseCommit]) {
          const outcome = attempt(() => parse(bytes.subarray(0, length)));
          expect(outcome === undefined || outcome instanceof RangeError).toBe(true);
        }
      }
    }
  });
  const attempt = (parse: () => unknown) => {
    try {
      parse();
      return undefined;
    } catch (error) {
      return error;
    }
  };
});
