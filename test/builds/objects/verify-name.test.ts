import { createHash } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { verifying } from '../../../functions/builds/objects/verify-name.ts';
import { Problem } from '../../../functions/runtime/errors.ts';
import { commits, dirmeta, files, folders, type GoldenObject } from './ostree-golden.ts';

async function* cut(bytes: Uint8Array, sizes: readonly number[] = [bytes.length || 1]): AsyncGenerator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}
/** The bytes that came through, or what was said against them. */
async function verified(name: string, body: AsyncIterable<Uint8Array>): Promise<Buffer | string> {
  const { body: through, check } = verifying(name, body);
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of through) chunks.push(chunk);
    check();
  } catch (error) {
    if (error instanceof Problem && error.kind === 'invalid') return error.message;
    throw error;
  }
  return Buffer.concat(chunks);
}
const goldenFiles = Object.values(files);
const golden: readonly GoldenObject[] = [...goldenFiles, ...Object.values(folders), ...Object.values(commits), dirmeta];
const headerEnd = (bytes: Buffer) => 8 + bytes.readUInt32BE(0);

/** A `.filez` of our own making, under the name it should have. */
function packed(content: Uint8Array, options: { sizeBytes?: bigint; deflated?: Uint8Array; mode?: number } = {}) {
  const numbers = Buffer.alloc(16);
  numbers.writeUInt32BE(options.mode ?? 0o100_644, 8);
  const rest = Buffer.concat([numbers, Buffer.from([0])]);
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(options.sizeBytes ?? BigInt(content.length));
  const headed = (header: Uint8Array) => Buffer.concat([Buffer.from([0, 0, 0, header.length, 0, 0, 0, 0]), header]);
  const name = createHash('sha256')
    .update(headed(Buffer.concat([rest, Buffer.from([17])])))
    .update(content)
    .digest('hex');
  const bytes = Buffer.concat([
    headed(Buffer.concat([size, rest, Buffer.from([25])])),
    options.deflated ?? deflateRawSync(content),
  ]);
  return { name: `${name}.filez`, bytes };
}

describe('an object that libostree wrote', () => {
  it.each(golden.map(({ name, bytes }) => [name, bytes] as const))('is what its name says: %s', async (name, bytes) => {
    expect(await verified(name, cut(bytes))).toEqual(bytes);
    expect(await verified(name, cut(bytes, [1]))).toEqual(bytes);
  });

  it('is not what the name of another says', async () => {
    for (const { name, bytes } of goldenFiles) {
      const other = name === files.plain.name ? files.empty.name : files.plain.name;
      expect(await verified(other, cut(bytes))).toBe(`${other}: its bytes are not those that its name says`);
    }
    const { name } = commits.first;
    expect(await verified(name, cut(commits.last.bytes))).toBe(`${name}: its bytes are not those that its name says`);
  });

  it('is refused when any byte of its header is another', async () => {
    for (const { name, bytes } of [files.plain, files.symlink, files.attribute, files.owned]) {
      for (let at = 0; at < headerEnd(bytes); at += 1) {
        const other = Buffer.from(bytes);
        other[at] = (other[at] ?? 0) ^ 1;
        expect([at, typeof (await verified(name, cut(other)))]).toEqual([at, 'string']);
      }
    }
  });

  it('is refused wherever it breaks off', async () => {
    for (const { name, bytes } of [files.plain, files.empty, files.symlink, files.attributes]) {
      for (let end = 0; end < bytes.length; end += 1)
        expect([end, typeof (await verified(name, cut(bytes.subarray(0, end))))]).toEqual([end, 'string']);
    }
  });

  it('is refused when more follows it', async () => {
    const more = ({ bytes }: GoldenObject) => Buffer.concat([bytes, Buffer.from('more')]);
    for (const sizes of [[1], [7], [100_000]]) {
      const file = await verified(files.plain.name, cut(more(files.plain), sizes));
      expect(file).toBe(`${files.plain.name}: something follows its content`);
      const link = await verified(files.symlink.name, cut(more(files.symlink), sizes));
      expect(link).toBe(`${files.symlink.name}: something follows the header of a symbolic link`);
    }
  });

  it('is refused, or holds the same, when any of its bytes is changed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...goldenFiles),
        fc.record({ at: fc.nat(), flip: fc.integer({ min: 1, max: 255 }) }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 3 }),
        async ({ name, bytes }, { at, flip }, sizes) => {
          const other = Buffer.from(bytes);
          other[at % other.length] = (other[at % other.length] ?? 0) ^ flip;
          const result = await verified(name, cut(other, sizes));
          // One content can be packed in more than one way.
          if (typeof result !== 'string') expect(at % other.length).toBeGreaterThanOrEqual(headerEnd(bytes));
        },
      ),
      { numRuns: 1500 },
    );
  });
});

describe('a packed file', () => {
  it('of any content is what its name says, however its bytes come', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 5000 }),
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 4 }),
        async (content, sizes) => {
          const { name, bytes } = packed(content);
          expect(await verified(name, cut(bytes, sizes))).toEqual(bytes);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('is not held: neither packed nor unpacked', async () => {
    const content = Buffer.alloc(300 * 1024 * 1024, 'a');
    const { name, bytes } = packed(content);
    const before = process.memoryUsage.rss();
    expect(await verified(name, cut(bytes, [16_384]))).toEqual(bytes);
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 1024 * 1024);
  });

  it('that unpacks to more than it says is left there', async () => {
    const bomb = deflateRawSync(Buffer.alloc(400 * 1024 * 1024));
    const { name, bytes } = packed(Buffer.from('small'), { deflated: bomb });
    let taken = 0;
    async function* counted() {
      for await (const chunk of cut(bytes, [1024])) {
        taken += chunk.length;
        yield chunk;
      }
    }
    expect(await verified(name, counted())).toBe(`${name}: it unpacks to more than the 5 bytes that it says`);
    expect(taken).toBeLessThan(10_000);
  });

  it('that unpacks to less than it says is refused', async () => {
    const { name, bytes } = packed(Buffer.from('four'), { sizeBytes: 5n });
    expect(await verified(name, cut(bytes))).toBe(`${name}: it unpacks to 4 bytes and not to the 5 that it says`);
  });

  it.each([
    ['is no deflate stream', { deflated: Buffer.from('not packed at all') }, /it cannot be unpacked: /],
    ['has no content at all', { deflated: Buffer.alloc(0) }, /it cannot be unpacked: unexpected end of file/],
    ['claims more than any file has', { sizeBytes: 2n ** 63n }, /its header is not that of an OSTree file/],
    ['is a folder', { mode: 0o040_755 }, /its header is not that of an OSTree file/],
    ['is a device', { mode: 0o020_644 }, /its header is not that of an OSTree file/],
    ['is a link that leads nowhere', { mode: 0o120_777, sizeBytes: 0n }, /its header is not that of an OSTree file/],
    ['has bits that no mode has', { mode: 0o1_100_644 }, /its header is not that of an OSTree file/],
  ])('that %s is refused', async (_what, options, message) => {
    const { name, bytes } = packed(Buffer.from('x'), options);
    expect(await verified(name, cut(bytes))).toMatch(message);
  });

  it('whose header is endless is refused at its first bytes', async () => {
    const bytes = Buffer.concat([Buffer.from('7fffffff00000000', 'hex'), Buffer.alloc(100)]);
    const result = await verified(files.plain.name, cut(bytes, [8]));
    expect(result).toBe(`${files.plain.name}: its header is not that of an OSTree file`);
  });
});

describe('the check of a name', () => {
  it('lets a piece of a delta hold anything', async () => {
    const bytes = Buffer.from('anything');
    expect(await verified(`${'a'.repeat(43)}.superblock.delta`, cut(bytes))).toEqual(bytes);
  });

  it('refuses a name that no object can have', () => {
    expect(() => verifying('a.txt', cut(Buffer.from('x')))).toThrow('"a.txt" is no name of an object');
  });

  it('cannot be asked before the bytes have ended', async () => {
    const { body, check } = verifying(files.plain.name, cut(files.plain.bytes, [10]));
    for await (const chunk of body) if (chunk.length > 0) break;
    expect(check).toThrow('have not been read to their end');
  });

  it('tells what went wrong with the body itself as it is', async () => {
    async function* broken() {
      yield files.plain.bytes.subarray(0, 40);
      throw new Error('reset');
    }
    await expect(verified(files.plain.name, broken())).rejects.toThrow(/^reset$/);
  });
});
