import { execFile, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, testToken, type TestServer } from '../support/server.ts';

/** flat-manager's own client, unmodified; it is not ours to keep here. */
const client = process.env['FLAT_MANAGER_CLIENT'];
const hasOstree = spawnSync('ostree', ['--version']).status === 0;
const missing = !client ? 'FLAT_MANAGER_CLIENT names no client' : hasOstree ? undefined : 'there is no ostree here';
const ref = 'app/org.example.App/x86_64/stable';
const run = promisify(execFile);

let server: TestServer;
let folder: string;
let repo: string;
beforeAll(async () => {
  if (missing !== undefined) return;
  server = await startTestServer();
  await server.apply('web', {
    appId: 'org.example.App',
    environments: [
      { name: 'stable', targets: [{ name: 'web' }] },
      { name: 'beta', targets: [{ name: 'web' }] },
      {
        name: 'checked',
        targets: [{ name: 'web' }],
        checks: [
          { name: 'lint', command: 'ls objects' },
          { name: 'advice', command: 'exit 3', required: false },
        ],
      },
    ],
  });
  folder = await mkdtemp(join(tmpdir(), 'sluice-flat-manager-'));
  repo = join(folder, 'repo');
  await ostree('init', '--mode=archive');
  await commitTree('first');
});
afterAll(async () => {
  if (missing !== undefined) return;
  await server.remove();
  await rm(folder, { recursive: true, force: true });
});

async function ostree(...args: readonly string[]): Promise<string> {
  return (await run('ostree', [`--repo=${repo}`, ...args])).stdout.trim();
}

/** An app's tree, one file of it larger than the client sends at once. */
async function commitTree(text: string): Promise<string> {
  const tree = join(folder, 'tree');
  await mkdir(join(tree, 'files/bin'), { recursive: true });
  await writeFile(join(tree, 'metadata'), '[Application]\nname=org.example.App\n');
  await writeFile(join(tree, 'files/bin/run'), `#!/bin/sh\necho ${text}\n`, { mode: 0o755 });
  await writeFile(
    join(tree, 'files/large'),
    Buffer.alloc(6_000_000, text).map((byte, at) => byte ^ ((at * at) % 251)),
  );
  await writeFile(join(tree, 'files/empty'), '');
  if (text === 'first') await symlink('bin/run', join(tree, 'files/link'));
  for (let at = 0; at < 200; at += 1) await writeFile(join(tree, `files/${at}.txt`), `file ${at}`);
  return await ostree('commit', `--branch=${ref}`, `--subject=${text}`, tree);
}

type Outcome = { readonly output: string; readonly result: Record<string, unknown> };

/** Runs the client; its result is the JSON that it writes, and a failure throws. */
async function stock(...args: readonly string[]): Promise<Outcome> {
  const written = join(folder, 'output.json');
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, REPO_TOKEN: testToken };
  const { stdout } = await run(client ?? '', ['--output', written, ...args], { env });
  const { result } = JSON.parse(await readFile(written, 'utf8')) as { result: Record<string, unknown> };
  return { output: stdout, result };
}

async function create(environment: string): Promise<string> {
  const { result } = await stock('create', `${server.url}/`, environment, 'org.example.App');
  return String(result['location']);
}

describe.skipIf(missing !== undefined)(
  `flat-manager’s own client${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    it('creates, pushes, commits, publishes, follows and purges', async () => {
      const build = await create('stable');
      expect(build).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/api\/v1\/build\/\d+$/);
      const pushed = await stock('push', '--extra-id', 'org.example.App.Extra', build, repo);
      expect(pushed.result).toMatchObject({ repo_state: 0, extra_ids: ['org.example.App.Extra'] });
      const committed = await stock('commit', '--wait', build);
      expect(committed.output).toContain('Job completed successfully');
      expect(committed.result).toMatchObject({ kind: 0, status: 2, results: { kind: 'ostree' } });
      const published = await stock('publish', '--wait', build);
      const commit = await ostree('rev-parse', ref);
      expect(published.result).toMatchObject({ kind: 1, status: 2, results: { refs: { [ref]: commit } } });
      const followed = await stock('follow-job', String(published.result['location']));
      expect(followed.result).toMatchObject({ id: published.result['id'], status: 2 });
      expect((await stock('purge', build)).result).toMatchObject({ repo_state: 5, published_state: 2 });
    });

    it('sends only what has changed since what is published', async () => {
      await commitTree('second');
      const build = await create('stable');
      const { output, result } = await stock('push', '--commit', '--publish', '--wait', build, repo);
      const sent = [...output.matchAll(/^Uploading (\d+) files/gm)].map(([, count]) => Number(count));
      expect(sent.reduce((sum, count) => sum + count, 0)).toBeLessThan(10);
      expect(result).toMatchObject({ repo_state: 2, published_state: 2 });
    });

    it('sends a static delta with what it is for', async () => {
      await ostree('static-delta', 'generate', '--empty', ref);
      const build = await create('beta');
      const { output, result } = await stock('push', '--commit', '--publish', '--wait', build, repo);
      expect(output).toContain(` ${ref}: ${await ostree('rev-parse', ref)}`);
      expect(output).toMatch(/^Uploading deltas[^]*^Uploading \d+ files/m);
      expect(result).toMatchObject({ repo_state: 2, published_state: 2 });
    });

    it('waits for the checks of an environment, and sees what they say', async () => {
      const build = await create('checked');
      const { output, result } = await stock('push', '--commit', '--publish', '--wait', build, repo);
      for (const name of ['lint', 'advice']) expect(output).toContain(`Waiting for check: ${name}`);
      expect(output).toContain('advice ended with 3');
      expect(result).toMatchObject({ repo_state: 2, published_state: 2 });
    });

    it('makes a token', async () => {
      const { result } = await stock('create-token', `${server.url}/`, 'narrow', 'build', 'build', 'upload');
      expect(String(result['token']).split('.')).toHaveLength(3);
    });

    it('fails, and says why, where a commit is refused', async () => {
      const build = await create('beta');
      const failed = await stock('commit', '--wait', build).catch((error: unknown) => error as { stdout: string });
      expect('stdout' in failed ? failed.stdout : '').toContain('has no refs');
    });
  },
);
