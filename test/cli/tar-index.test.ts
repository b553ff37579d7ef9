import { mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { packTar, type TarEntry, type TarHeader } from 'modern-tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { indexTar } from '../../cli/push/tar-index.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-tar-'));
  file = join(folder, 'a.tar');
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

const entry = (name: string, text: string, more: Partial<TarHeader> = {}): TarEntry => ({
  header: { name, size: Buffer.byteLength(text), ...more },
  body: text,
});
async function contentOf(name: string): Promise<string | undefined> {
  const found = (await indexTar(file)).find(name);
  if (found === undefined) return undefined;
  const handle = await open(file, 'r');
  const { buffer } = await handle.read(Buffer.alloc(found.sizeBytes), 0, found.sizeBytes, found.offsetBytes);
  await handle.close();
  return buffer.toString();
}

describe('the index of a tar', () => {
  it('knows where the bytes of each file lie, whatever its name', async () => {
    const name = fc.stringMatching(/^[a-z0-9é./_-]{1,300}$/).filter((text) => !/(^|\/)\.{0,2}(\/|$)/.test(text));
    const files = fc.uniqueArray(fc.tuple(name, fc.string({ maxLength: 2000 })), {
      selector: ([key]) => key,
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(files, async (entries) => {
        fc.pre(entries.length > 0);
        await writeFile(file, await packTar(entries.map(([key, text]) => entry(key, text))));
        const index = await indexTar(file);
        expect([...index.names].sort()).toEqual(entries.map(([key]) => key).sort());
        for (const [key, text] of entries) expect(await contentOf(key)).toBe(text);
      }),
      { numRuns: 40 },
    );
  });

  it('follows links, and finds a name however it is written', async () => {
    await writeFile(
      file,
      await packTar([
        entry('./a/layer.tar', 'layer'),
        { header: { name: 'b/layer.tar', size: 0, type: 'symlink', linkname: '../a/layer.tar' } },
        { header: { name: 'c/layer.tar', size: 0, type: 'link', linkname: 'a/layer.tar' } },
        { header: { name: 'd/', size: 0, type: 'directory' } },
      ]),
    );
    for (const name of ['a/layer.tar', './a/layer.tar', 'b/layer.tar', 'c/layer.tar']) {
      expect(await contentOf(name)).toBe('layer');
    }
    expect(await contentOf('d')).toBeUndefined();
    expect(await contentOf('../a/layer.tar')).toBeUndefined();
  });

  it('reads the long names and the large numbers of GNU tar', async () => {
    const long = `${'x'.repeat(150)}/layer.tar`;
    const [named, content] = [
      await packTar([entry('././@LongLink', `${long}\0`)]),
      await packTar([entry('short', 'text')]),
    ];
    const header = Buffer.from(named.subarray(0, 1024));
    header.write('L', 156);
    const whole = Buffer.from(content);
    // 4 as GNU writes what needs more than eleven octal digits.
    whole.fill(0, 124, 136);
    whole[124] = 0x80;
    whole[135] = 4;
    for (const block of [header, whole]) writeChecksum(block);
    await writeFile(file, Buffer.concat([header, whole]));
    expect(await contentOf(long)).toBe('text');
  });

  it('refuses what is no tar, is cut off, or is damaged', async () => {
    await writeFile(file, 'x'.repeat(2000));
    await expect(indexTar(file)).rejects.toThrow('is no tar archive');
    await writeFile(file, '');
    await expect(indexTar(file)).rejects.toThrow('is no tar archive');
    await writeFile(file, await packTar([entry('a', 'y'.repeat(5000))]));
    await truncate(file, 3000);
    await expect(indexTar(file)).rejects.toThrow('ends within a file');
    const bytes = Buffer.from(await packTar([entry('a', 'text')]));
    bytes.write('b', 0);
    await writeFile(file, bytes);
    await expect(indexTar(file)).rejects.toThrow('is no tar archive');
  });

  it('ends or refuses, whatever the bytes are', async () => {
    const good = await packTar([entry('a', 'text'), entry('n'.repeat(200), 'more')]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 }), async (changes) => {
        const bytes = Buffer.from(good);
        for (const [at, value] of changes) bytes[at] = value;
        await writeFile(file, bytes);
        const outcome = await indexTar(file).catch((error: unknown) => error);
        expect(outcome instanceof Error ? outcome.name : 'index').toMatch(/^(index|WrongUse)$/);
      }),
      { numRuns: 200 },
    );
    expect((await readFile(file)).length).toBe(good.length);
  });
});

function writeChecksum(block: Buffer): void {
  block.fill(' ', 148, 156);
  const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
}
