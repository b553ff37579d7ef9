import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ClassicLevel } from 'classic-level';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openRecords } from '../../local/records.ts';

describe('records of this machine', () => {
  let folder: string;
  beforeEach(async () => {
    folder = join(await mkdtemp(join(tmpdir(), 'sluice-records-')), 'data', 'records');
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await rm(join(folder, '..', '..'), { recursive: true });
  });

  it('are there again after closing and opening, with their index entries', async () => {
    const first = await openRecords({ folder });
    const key = { partition: 'p', sort: 's' };
    const created = await first.records.create(key, { a: 1 }, { indexes: { open: { partition: 'o', sort: 'x' } } });
    await first.close();
    const second = await openRecords({ folder });
    expect(await second.records.find(key)).toEqual(created);
    expect((await second.records.list({ partition: 'o', index: 'open' })).items).toEqual([created]);
    await second.close();
  });

  it('lie in a folder that only its owner can enter', async () => {
    const { close } = await openRecords({ folder });
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    await close();
  });

  it('cannot be opened twice, and say so', async () => {
    const { records, close } = await openRecords({ folder });
    const inUse = { kind: 'conflict', message: expect.stringMatching(/in use by another running server/) as string };
    await expect(openRecords({ folder })).rejects.toMatchObject(inUse);
    await records.create({ partition: 'p', sort: 's' }, 'still works');
    await close();
    await (await openRecords({ folder })).close();
  });

  it('cannot be opened by another process either', async () => {
    const { close } = await openRecords({ folder });
    const open = `import(${JSON.stringify(fileURLToPath(new URL('../../local/records.ts', import.meta.url)))})
      .then((module) => module.openRecords({ folder: ${JSON.stringify(folder)} }))
      .catch((error) => console.log(error.kind));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', open]);
    expect(stdout.trim()).toBe('conflict');
    await close();
  });

  it('refuse a folder that is a file', async () => {
    await mkdir(join(folder, '..'), { recursive: true });
    await writeFile(folder, '');
    await expect(openRecords({ folder })).rejects.toThrow('EEXIST');
    await chmod(folder, 0o600);
  });

  it('listen nowhere', async () => {
    const { records, close } = await openRecords({ folder });
    await records.ready();
    expect(process.getActiveResourcesInfo().filter((resource) => resource.includes('TCPSERVER'))).toEqual([]);
    await close();
  });

  it('reject the writes that the disk refuses, keep what was, and go on when it recovers', async () => {
    const { records, close } = await openRecords({ folder });
    const key = { partition: 'p', sort: 's' };
    const indexes = { open: { partition: 'o', sort: 'x' } };
    const created = await records.create(key, 'a', { indexes });
    if (!created) throw new Error('taken');
    const full = new Error('IO error: No space left on device');
    const batch = vi.spyOn(ClassicLevel.prototype, 'batch').mockRejectedValue(full);
    const writes = Array.from({ length: 5 }, async (_, index) => await records.create({ ...key, sort: `${index}` }, 1));
    // All at once, as each may be refused before the one before it is looked at.
    const outcomes = await Promise.allSettled([...writes, records.replace(created, 'b'), records.remove(created)]);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { kind: 'busy', cause: full } });
    }
    expect(batch).toHaveBeenCalled();
    batch.mockRestore();
    const reopened = vi.spyOn(ClassicLevel.prototype, 'open');
    expect((await records.list({ partition: 'p' })).items).toEqual([created]);
    expect((await records.list({ partition: 'o', index: 'open' })).items).toEqual([created]);
    const meanwhile = Array.from({ length: 50 }, async () => await records.find(key));
    expect(await records.replace(created, 'c', { indexes })).toMatchObject({ version: 2 });
    expect((await Promise.all(meanwhile)).every(Boolean)).toBe(true);
    expect(reopened).toHaveBeenCalledTimes(1);
    expect(await records.create({ ...key, sort: 'next' }, 1)).toBeDefined();
    expect(reopened).toHaveBeenCalledTimes(1);
    await close();
    const again = await openRecords({ folder });
    expect((await again.records.find(key))?.value).toBe('c');
    await again.close();
  });

  it('wait for what is running before they close', async () => {
    const { records, close } = await openRecords({ folder });
    const writes = Array.from(
      { length: 50 },
      async (_, index) => await records.create({ partition: 'p', sort: `${index}` }, 1),
    );
    await close();
    expect((await Promise.all(writes)).every(Boolean)).toBe(true);
    await expect(records.find({ partition: 'p', sort: '1' })).rejects.toThrow('closed');
  });
});
