import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Problem } from '../../functions/runtime/errors.ts';
import { silentLog, type Log } from '../../functions/runtime/log.ts';
import { keptCredential } from '../../local/credentials.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-credentials-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('a credential in the data folder', () => {
  it('is made once, 256 bits of it, for the owner only, and read again afterwards', async () => {
    const data = join(folder, 'data');
    const token = await keptCredential(data, 'admin-token', silentLog);
    expect(token).toMatch(/^[0-9a-f]{64}$/);
    expect(await keptCredential(data, 'admin-token', silentLog)).toBe(token);
    expect(await keptCredential(data, 'webhook-secret', silentLog)).not.toBe(token);
    expect((await stat(join(data, 'admin-token'))).mode & 0o777).toBe(0o600);
    expect((await stat(data)).mode & 0o077).toBe(0);
  });

  it('is one and the same for servers that start at once, and no draft of it is left', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => keptCredential(folder, 'admin-token', silentLog)));
    expect(new Set(all).size).toBe(1);
    expect(await readdir(folder)).toEqual(['admin-token']);
    expect((await readFile(join(folder, 'admin-token'), 'utf8')).trim()).toBe(all[0]);
  });

  it('that others could read is closed to them again, with a warning', async () => {
    await writeFile(join(folder, 'admin-token'), 'a-token-of-enough-length\n');
    await chmod(join(folder, 'admin-token'), 0o644);
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warn: (message, fields) => warnings.push(JSON.stringify([message, fields])) };
    expect(await keptCredential(folder, 'admin-token', log)).toBe('a-token-of-enough-length');
    expect((await stat(join(folder, 'admin-token'))).mode & 0o777).toBe(0o600);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).not.toContain('a-token-of-enough-length');
  });

  it.each(['', 'short', 'with blanks in the middle of it', 'two-lines-of-it-aaaaa\ntwo-lines-of-it-aaaaa'])(
    'that holds %j is refused without being repeated',
    async (text) => {
      await writeFile(join(folder, 'admin-token'), text, { mode: 0o600 });
      const error = await keptCredential(folder, 'admin-token', silentLog).catch((error: unknown) => error);
      expect(error).toBeInstanceOf(Problem);
      expect((error as Problem).message).not.toContain(text || '""');
    },
  );

  it('is not read from a link or a folder that has its name', async () => {
    await writeFile(join(folder, 'elsewhere'), 'a-token-of-enough-length', { mode: 0o600 });
    await symlink('elsewhere', join(folder, 'admin-token'));
    await expect(keptCredential(folder, 'admin-token', silentLog)).rejects.toThrow('must be a plain file');
    await mkdir(join(folder, 'webhook-secret'));
    await expect(keptCredential(folder, 'webhook-secret', silentLog)).rejects.toThrow('must be a plain file');
  });
});
