import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BuildView } from '../../functions/api/build-shapes.ts';
import { startTestServer, testToken, type TestServer } from '../support/server.ts';

const version = await execa('ostree', ['--version'], { reject: false }).catch(() => undefined);
const reason = version?.exitCode === 0 ? undefined : 'no ostree is on this machine';
const cli = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const ref = 'app/org.example.Hello/x86_64/stable';

describe.skipIf(reason !== undefined)(`an OSTree repository${reason ? ` (skipped: ${reason})` : ''}`, () => {
  let server: TestServer;
  let folder: string;
  const ostree = async (...args: readonly string[]) => (await execa('ostree', args, { cwd: folder })).stdout.trim();
  const sluice = async (...args: readonly string[]) =>
    await execa(process.execPath, [cli, ...args], {
      env: { SLUICE_URL: server.url, SLUICE_TOKEN: testToken },
      reject: false,
    });
  const commit = async (text: string) => {
    await writeFile(join(folder, 'tree', 'files', 'greeting'), text);
    return await ostree('--repo=made', 'commit', '--branch', ref, 'tree');
  };
  const publish = async () => {
    const begun = JSON.parse((await sluice('create', 'org.example.Hello', 'dev', '--json')).stdout) as BuildView;
    return await sluice('push', String(begun.id), join(folder, 'made'), '--publish');
  };
  const pull = async (environment: string, token: string) => {
    const url = `${server.url}/repo/hello/${environment}`;
    await ostree('--repo=pulled', 'remote', 'add', '--no-gpg-verify', '--if-not-exists', environment, url);
    const header = `--http-header=Authorization=Bearer ${token}`;
    return await execa('ostree', ['--repo=pulled', 'pull', header, environment, ref], { cwd: folder, reject: false });
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-ostree-'));
    await mkdir(join(folder, 'tree', 'files', 'bin'), { recursive: true });
    await writeFile(join(folder, 'tree', 'files', 'bin', 'hello'), '#!/bin/sh\n');
    await chmod(join(folder, 'tree', 'files', 'bin', 'hello'), 0o755);
    await symlink('bin/hello', join(folder, 'tree', 'files', 'link'));
    for (const name of ['made', 'pulled']) await ostree(`--repo=${name}`, 'init', '--mode=archive-z2');
    server = await startTestServer();
    const target = { name: 'none', desiredCount: 0 };
    await server.apply('hello', {
      appId: 'org.example.Hello',
      environments: [
        { name: 'dev', targets: [target] },
        { name: 'beta', parent: 'dev', promotion: 'automatic', targets: [target] },
      ],
    });
  });
  afterAll(async () => {
    await server.remove();
    await rm(folder, { recursive: true, force: true });
  });

  it('that was pushed and published is pulled, whole and verified, also where it was promoted to', async () => {
    const pushed = await commit('one');
    expect((await publish()).exitCode).toBe(0);
    for (const environment of ['dev', 'beta']) {
      expect((await pull(environment, testToken)).exitCode).toBe(0);
      expect(await ostree('--repo=pulled', 'rev-parse', `${environment}:${ref}`)).toBe(pushed);
    }
    expect(await ostree('--repo=pulled', 'fsck')).toContain('no errors found');
    expect(await ostree('--repo=pulled', 'cat', `dev:${ref}`, '/files/greeting')).toBe('one');
  });

  it('is pulled by a token that may do nothing else, and by no other', async () => {
    const mint = async (scope: string, environment: string) =>
      (await sluice('create-token', 'pull', 'app/hello', scope, '--app', 'hello', '--environment', environment)).stdout;
    await commit('two');
    expect((await publish()).exitCode).toBe(0);
    expect((await pull('dev', await mint('download', 'dev'))).exitCode).toBe(0);
    expect((await pull('dev', await mint('download', 'beta'))).stderr).toContain('403');
    expect((await pull('dev', await mint('read', 'dev'))).stderr).toContain('403');
    expect(await ostree('--repo=pulled', 'cat', `dev:${ref}`, '/files/greeting')).toBe('two');
  });
});
