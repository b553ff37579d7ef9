import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findConnection } from '../../cli/connection.ts';
import { createTestWorld } from './test-world.ts';

let root: string;
let deep: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sluice-cli-'));
  deep = join(root, 'a', 'b');
  await mkdir(deep, { recursive: true });
});
afterEach(async () => await rm(root, { recursive: true, force: true }));

async function localServer(
  folder: string,
  { url = 'http://127.0.0.1:4600', token = 'local-token' } = {},
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'server.json'), JSON.stringify({ url, pid: 1 }));
  await writeFile(join(folder, 'admin-token'), `${token}\n`);
}
const find = async (folder: string, env: Record<string, string> = {}) =>
  await findConnection(createTestWorld({ folder, env }));

describe('the connection', () => {
  it('is the one named, whatever runs here', async () => {
    await localServer(join(deep, '.sluice'));
    const found = await find(deep, { SLUICE_URL: 'https://deploy.example.com/sluice/', SLUICE_TOKEN: ' named \n' });
    expect(found).toMatchObject({ baseUrl: 'https://deploy.example.com/sluice', token: 'named' });
  });

  it('is found in .sluice of the current folder', async () => {
    await localServer(join(deep, '.sluice'));
    expect(await find(deep)).toMatchObject({ baseUrl: 'http://127.0.0.1:4600', token: 'local-token' });
  });

  it('is found in the nearest folder above', async () => {
    await localServer(join(root, '.sluice'), { token: 'far' });
    await localServer(join(root, 'a', '.sluice'), { token: 'near' });
    expect(await find(deep)).toMatchObject({ token: 'near' });
  });

  it('is found in SLUICE_DATA and then nowhere else', async () => {
    await localServer(join(deep, '.sluice'));
    await localServer(join(root, 'data'), { url: 'http://127.0.0.1:4700', token: 'data' });
    expect(await find(deep, { SLUICE_DATA: '../../data' })).toMatchObject({
      baseUrl: 'http://127.0.0.1:4700',
      token: 'data',
    });
    await expect(find(deep, { SLUICE_DATA: 'missing' })).rejects.toThrow('in SLUICE_DATA');
  });

  it('goes with the token given, where only that is given', async () => {
    await localServer(join(deep, '.sluice'));
    expect(await find(deep, { SLUICE_TOKEN: 'mine' })).toMatchObject({
      baseUrl: 'http://127.0.0.1:4600',
      token: 'mine',
    });
  });

  it('never shows the local token to another server', async () => {
    await localServer(join(deep, '.sluice'));
    expect((await find(deep, { SLUICE_URL: 'http://deploy.example.com:4600' })).token).toBeUndefined();
    expect((await find(deep, { SLUICE_URL: 'http://127.0.0.1:4601' })).token).toBeUndefined();
    expect((await find(deep, { SLUICE_URL: 'http://127.0.0.1:4600/prefix' })).token).toBe('local-token');
  });

  it('does not follow a server.json that leads off this machine', async () => {
    await localServer(join(deep, '.sluice'), { url: 'http://127.0.0.1.evil.example:4600' });
    await expect(find(deep, { SLUICE_TOKEN: 'mine' })).rejects.toThrow('not on this machine');
  });

  it('is said to be missing in one sentence that tells what to do', async () => {
    const failure = await find(deep).catch((error: Error) => error);
    expect(failure).toMatchObject({
      name: 'WrongUse',
      message: expect.stringMatching(/^No server: .*npm start.*SLUICE_TOKEN\.$/),
    });
  });

  it.each(['{', '{}', '{"url":7}', '{"url":"nonsense"}'])('refuses a server.json that holds %s', async (text) => {
    await mkdir(join(deep, '.sluice'));
    await writeFile(join(deep, '.sluice', 'server.json'), text);
    await expect(find(deep)).rejects.toThrow('names no server');
  });

  it.each(['127.0.0.1:4600', 'ftp://host', 'http://user:pass@host', 'http://host/?a=1', 'http://host/#x'])(
    'refuses %s as SLUICE_URL without repeating it',
    async (url) => {
      const failure = await find(deep, { SLUICE_URL: url, SLUICE_TOKEN: 't' }).catch((error: Error) => error);
      expect(failure).toMatchObject({ name: 'WrongUse', message: expect.stringContaining('SLUICE_URL: expected') });
      expect(JSON.stringify([failure, (failure as Error).message])).not.toContain('pass');
    },
  );
});
