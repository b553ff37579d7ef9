import { chmod, mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Secrets } from '../../functions/ports/secrets.ts';
import { folderSecrets } from '../../local/secrets.ts';

describe('secrets in a folder', () => {
  let folder: string;
  let secrets: Secrets;
  const newId = () => crypto.randomUUID();
  beforeEach(async () => {
    folder = join(await mkdtemp(join(tmpdir(), 'sluice-secrets-')), 'data', 'secrets');
    secrets = folderSecrets({ folder, newId });
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await rm(join(folder, '..', '..'), { recursive: true });
  });

  async function modes(path: string): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    for (const entry of await readdir(path, { withFileTypes: true, recursive: true })) {
      const { mode } = await stat(join(entry.parentPath, entry.name));
      found[entry.isDirectory() ? 'folders' : 'files'] = (mode & 0o777).toString(8);
    }
    return found;
  }

  it('are files for their owner alone, whatever the umask and the folder were', async () => {
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o755);
    const before = process.umask(0);
    try {
      await secrets.write('apps/web/key', 'hunter2');
      await secrets.ready();
    } finally {
      process.umask(before);
    }
    expect(await modes(folder)).toEqual({ folders: '700', files: '600' });
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
  });

  it('are there for another reader of the same folder', async () => {
    const { version } = await secrets.write('apps/web/key', 'hunter2');
    expect(await folderSecrets({ folder, newId }).read('apps/web/key')).toEqual({ value: 'hunter2', version });
  });

  it('leave no file of a removed secret', async () => {
    await secrets.write('apps/web/key', 'hunter2');
    await secrets.remove('apps/web/key');
    expect(await readdir(folder)).toEqual([]);
  });

  it('clear away what a killed write left, at the next write', async () => {
    await secrets.write('apps/web/key', 'hunter2');
    const left = join(folder, 'apps/web/key/.new-left');
    await writeFile(left, 'half a value');
    await secrets.write('apps/web/key', 'hunter3');
    await expect(readFile(left)).rejects.toThrow('ENOENT');
  });

  it('never change a version: an id that comes twice is refused', async () => {
    const twice = folderSecrets({ folder, newId: () => 'same' });
    await twice.write('key', 'one');
    await expect(twice.write('key', 'two')).rejects.toThrow('twice');
    expect(await twice.read('key')).toEqual({ value: 'one', version: 'same' });
  });

  it('keep the version from before, say what failed and show no value when the disk is full', async () => {
    await secrets.write('apps/web/key', 'hunter2');
    const handle = await open(folder, 'r');
    await handle.close();
    const full = Object.assign(new Error('ENOSPC: simulated'), { code: 'ENOSPC' });
    const prototype = Object.getPrototypeOf(handle) as FileHandle;
    const failing = vi.spyOn(prototype, 'sync').mockRejectedValue(full);
    const write = secrets.write('apps/web/key', 'hunter3');
    await expect(write).rejects.toMatchObject({
      kind: 'busy',
      message: expect.stringContaining('no space left') as string,
    });
    await expect(write).rejects.not.toThrow('hunter3');
    failing.mockRestore();
    expect((await secrets.read('apps/web/key')).value).toBe('hunter2');
    const files = await readdir(folder, { recursive: true, withFileTypes: true });
    const texts = await Promise.all(
      files
        .filter((entry) => entry.isFile())
        .map(async (entry) => await readFile(join(entry.parentPath, entry.name), 'utf8')),
    );
    expect(texts.filter((text) => text.includes('hunter3'))).toEqual([]);
  });

  it('are read from nowhere outside their folder', async () => {
    await writeFile(join(folder, '..', 'outside'), 'hunter2').catch(async () => {
      await mkdir(join(folder, '..'), { recursive: true });
      await writeFile(join(folder, '..', 'outside'), 'hunter2');
    });
    await secrets.write('key', 'inside');
    await expect(secrets.read('../outside')).rejects.toMatchObject({ kind: 'invalid' });
    await expect(secrets.read('key', '../../../outside')).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('are not ready where a file is in the way', async () => {
    await mkdir(join(folder, '..'), { recursive: true });
    await writeFile(folder, '');
    await expect(secrets.ready()).rejects.toThrow('EEXIST');
  });
});
