import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeDeployKey } from '../../functions/apps/deploy-key.ts';
import { applyApp } from '../../functions/apps/registry.ts';
import { deployKeyPath, listSecrets, removeSecret, secretPath, writeSecret } from '../../functions/apps/secrets.ts';
import { memorySecrets } from '../support/memory-secrets.ts';
import { openTestRecords } from '../support/records.ts';

const open = await openTestRecords();
const ports = { records: open.records, secrets: memorySecrets(), randomBytes: (count: number) => randomBytes(count) };
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-keys-'));
  const policy = {
    source: { allowFile: false, ownRemote: undefined },
    fetch: { allowPrivateHosts: false, maxBytes: 1 },
  };
  const input = { environments: [{ name: 'dev', targets: [{ name: 'web' }] }] };
  await applyApp({ records: open.records, clock: () => 1, policy }, { id: 'web', input });
});
afterAll(async () => {
  await open.close();
  await rm(folder, { recursive: true, force: true });
});

const write = (name: string, value: string, app = 'web') => writeSecret(ports, { app, name, value });

describe('secrets of an app', () => {
  it('are written, listed by name, written over and removed', async () => {
    await write('database-url', 'one');
    await write('api-token', 'x');
    await write('database-url', 'two');
    expect(await listSecrets(ports, 'web')).toEqual(['api-token', 'database-url']);
    expect(await ports.secrets.read(secretPath('web', 'database-url'))).toEqual({ value: 'two', version: '2' });
    await removeSecret(ports, { app: 'web', name: 'api-token' });
    await removeSecret(ports, { app: 'web', name: 'api-token' });
    expect(await listSecrets(ports, 'web')).toEqual(['database-url']);
  });

  it.each(['', 'A', 'a_b', '../x', 'a/b', '-a', 'x'.repeat(65), 'a\n', 'deploy-key'])(
    'cannot be called %j',
    async (name) => {
      await expect(write(name, 'hunter2')).rejects.toMatchObject({ kind: 'invalid' });
      await expect(removeSecret(ports, { app: 'web', name })).rejects.toMatchObject({ kind: 'invalid' });
    },
  );

  it('hold 1 byte to 64 KB of text that an environment can carry', async () => {
    await write('big', 'é'.repeat(32_768));
    await expect(write('big', `${'é'.repeat(32_768)}x`)).rejects.toMatchObject({ kind: 'too-large' });
    for (const value of ['', 'hunter2\0', 'hunter2\ud800']) {
      const error = await write('bad', value).catch((error: unknown) => error);
      expect(error).toMatchObject({ kind: 'invalid', issues: [{ field: 'value' }] });
      expect(JSON.stringify(error) + String(error)).not.toContain('hunter2');
    }
  });

  it('belong to apps that are there', async () => {
    await expect(write('a', 'x', 'nobody')).rejects.toMatchObject({ kind: 'not-found' });
    await expect(write('a', 'x', '../web')).rejects.toMatchObject({ kind: 'not-found' });
    await expect(listSecrets(ports, 'nobody')).rejects.toMatchObject({ kind: 'not-found' });
    await expect(removeSecret(ports, { app: 'nobody', name: 'a' })).rejects.toMatchObject({ kind: 'not-found' });
  });
});

const hasSshKeygen = spawnSync('ssh-keygen', ['-?']).error === undefined;

describe('makeDeployKey', () => {
  it('answers with the public half and keeps the private one', async () => {
    const answer = await makeDeployKey(ports, 'web');
    expect(Object.keys(answer)).toEqual(['publicKey']);
    expect(answer.publicKey).toMatch(/^ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA[A-Za-z0-9+/]+ sluice-web$/);
    const { value } = await ports.secrets.read(deployKeyPath('web'));
    expect(value).toMatch(/^-----BEGIN OPENSSH PRIVATE KEY-----\n[^-]+\n-----END OPENSSH PRIVATE KEY-----\n$/);
    expect(await listSecrets(ports, 'web')).not.toContain('deploy-key');
  });

  it('makes another key each time, which replaces the one before', async () => {
    const first = await makeDeployKey(ports, 'web');
    const before = await ports.secrets.read(deployKeyPath('web'));
    expect((await makeDeployKey(ports, 'web')).publicKey).not.toBe(first.publicKey);
    expect((await ports.secrets.read(deployKeyPath('web'))).value).not.toBe(before.value);
  });

  it('makes none for an app that is not there', async () => {
    await expect(makeDeployKey(ports, 'nobody')).rejects.toMatchObject({ kind: 'not-found' });
    expect(await ports.secrets.findVersion(deployKeyPath('nobody'))).toBeUndefined();
  });

  it.skipIf(!hasSshKeygen)('makes a pair that OpenSSH reads (needs ssh-keygen)', async () => {
    const { publicKey } = await makeDeployKey(ports, 'web');
    const file = join(folder, 'key');
    await writeFile(file, (await ports.secrets.read(deployKeyPath('web'))).value, { mode: 0o600 });
    expect(execFileSync('ssh-keygen', ['-y', '-f', file]).toString().trim()).toBe(publicKey);
  });
});
