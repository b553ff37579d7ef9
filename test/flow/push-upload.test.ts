import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noise } from '../cli/packages.ts';
import { startPrefixProxy } from '../support/prefix-proxy.ts';
import { freePort, startTestServer, testToken, type TestServer } from '../support/server.ts';
import { webApp, webFiles } from '../support/web-app.ts';

/** The real client, as a process, against the real server behind a path prefix. */
const launcher = fileURLToPath(new URL('../../bin/sluice.mjs', import.meta.url));

let server: TestServer;
let proxy: Awaited<ReturnType<typeof startPrefixProxy>>;
let folder: string;
let port: number;
let stablePort: number;
beforeAll(async () => {
  [folder, port, stablePort] = await Promise.all([
    mkdtemp(join(tmpdir(), 'sluice-push-flow-')),
    freePort(),
    freePort(),
  ]);
  server = await startTestServer();
  proxy = await startPrefixProxy(server.url, '/sluice');
  // An app without a source: what it runs is built elsewhere.
  const { source: _source, build: _build, ...app } = webApp({ repoUrl: 'https://none.example', listenPort: port });
  const environments = app.environments.map(({ branch: _branch, ...environment }) => environment);
  const stable = environments.map((environment) => ({
    ...environment,
    name: 'stable',
    parent: 'dev',
    targets: [{ name: 'web', desiredCount: 1, listenPort: stablePort }],
  }));
  await server.apply('web', { ...app, environments: [...environments, ...stable] });
});
afterAll(async () => {
  await proxy.close();
  await server.remove();
  await rm(folder, { recursive: true, force: true });
});

function start(args: readonly string[], token = testToken) {
  const { SLUICE_DATA: _data, ...inherited } = process.env;
  const env = { ...inherited, SLUICE_URL: proxy.url, SLUICE_TOKEN: token };
  return spawn(process.execPath, [launcher, ...args], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function finish(child: ReturnType<typeof start>) {
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => (out += String(chunk)));
  child.stderr.on('data', (chunk) => (err += String(chunk)));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}
const sluice = async (...args: readonly string[]) => await finish(start(args));

async function app(version: string, more: Record<string, Uint8Array> = {}): Promise<string> {
  const root = join(folder, version);
  const built = { 'built.json': JSON.stringify({ version, behaviour: 'well' }) };
  for (const [name, content] of Object.entries({ ...webFiles({ version }), ...built, ...more })) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), content);
  }
  return root;
}
const live = async (at = port) => await (await fetch(`http://127.0.0.1:${at}/`)).text();
const create = async () => (await sluice('create', 'web', 'dev')).out.trim();
const partsOf = (passed: typeof proxy.passed) => passed.filter(({ method }) => method === 'PUT');

describe('a folder that is pushed', () => {
  it('is created, pushed, committed, published and then served', async () => {
    const build = await create();
    expect(build).toMatch(new RegExp(`^${proxy.url}/api/v1/build/\\d+$`));
    const pushed = await sluice('push', build, await app('one'));
    expect(pushed).toMatchObject({ code: 0, out: expect.stringContaining('app/web/any/dev') });
    expect(await sluice('commit', build)).toMatchObject({
      code: 0,
      out: expect.stringContaining('is committed: bundle'),
    });
    const published = await sluice('publish', build);
    expect(published).toMatchObject({ code: 0, out: expect.stringMatching(/Publishing build \d+: done\.\n/) });
    expect(published.out).toContain('succeeded');
    expect(await live()).toBe('one');
  });

  it('is brought live by one call, which publishing again follows once more', async () => {
    const build = await create();
    const pushed = await sluice('push', build, await app('two'), '--publish');
    expect(pushed).toMatchObject({ code: 0, err: '' });
    expect(await live()).toBe('two');
    expect(await sluice('publish', build)).toMatchObject({ code: 0, out: expect.stringContaining('succeeded') });
    expect(await sluice('commit', build)).toMatchObject({ code: 0, err: expect.stringContaining('committed already') });
    expect(await sluice('builds', '--app', 'web')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/published[^]*published/),
    });
  });

  it('goes on where it was when the client was killed amid its parts, and sends none of them twice', async () => {
    const root = await app('three', { 'assets/large.bin': noise('large', 40 * 1024 ** 2) });
    const build = await create();
    const from = proxy.passed.length;
    const here = () => proxy.passed.slice(from);
    let held = 0;
    proxy.holdBack(({ method }) => (method === 'PUT' && ++held > 2 ? new Promise<never>(() => {}) : undefined));
    const child = start(['push', build, root]);
    await proxy.until(() => partsOf(here()).length === 2);
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
    proxy.holdBack(() => undefined);

    const failed = await sluice('commit', build);
    expect(failed).toMatchObject({ code: 1, out: expect.stringContaining('The commit of build') });
    const { code, out } = await sluice('push', build, root, '--json');
    expect(code).toBe(0);
    const document = JSON.parse(out.trim().split('\n').at(-1) ?? '') as { bytes: { total: number; sent: number } };
    expect(document.bytes.sent).toBeLessThan(document.bytes.total);
    const parts = partsOf(here());
    expect(parts.every(({ status }) => status < 300)).toBe(true);
    expect(new Set(parts.map(({ path }) => path.split('?')[0])).size).toBe(parts.length);
    expect(parts.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(document.bytes.total);
    expect(await sluice('commit', build)).toMatchObject({ code: 0 });
    expect(await sluice('publish', build)).toMatchObject({ code: 0 });
    expect(await live()).toBe('three');
  });

  it('says all that is missing when it is committed too early, and is purged when it is not wanted', async () => {
    const build = await create();
    const early = await sluice('commit', build);
    expect(early).toMatchObject({ code: 1, out: expect.stringContaining('has no refs') });
    expect(early.err).toContain('The build stays open');
    expect(await sluice('purge', build)).toMatchObject({ code: 0, out: expect.stringContaining('is purged') });
    expect(await sluice('push', build, await app('four'))).toMatchObject({
      code: 2,
      err: expect.stringContaining('Build has been purged'),
    });
  });

  it('can be pushed with a token for one build alone, which opens nothing else', async () => {
    const build = await create();
    const id = build.split('/').at(-1) ?? '';
    const minted = await sluice('create-token', 'uploader', `build/${id}`, 'upload', '--duration', '10m');
    expect(minted).toMatchObject({ code: 0, err: '' });
    const withToken = async (...args: readonly string[]) => (await finish(start(args, minted.out.trim()))).code;
    expect(await withToken('push', build, await app('five'))).toBe(0);
    expect(await withToken('commit', build)).toBe(2);
    expect(await withToken('create', 'web', 'dev')).toBe(2);
    expect((await sluice('tokens', 'list')).out).toContain('admin/uploader');
  });

  it('is brought live with the token that docs/push.md has for CI, and with no other environment in reach', async () => {
    const scope = ['build', 'upload', 'publish', 'read'];
    const limits = ['--app', 'web', '--repo', 'dev', '--environment', 'dev'];
    const minted = await sluice('create-token', 'ci', '', ...scope, ...limits);
    const withToken = async (...args: readonly string[]) => await finish(start(args, minted.out.trim()));
    const created = await withToken('create', 'web', 'dev');
    expect(created.code).toBe(0);
    expect(await withToken('push', created.out.trim(), await app('ci'), '--publish')).toMatchObject({
      code: 0,
      err: '',
    });
    expect(await live()).toBe('ci');
    expect(await withToken('create', 'web', 'stable')).toMatchObject({
      code: 2,
      err: expect.stringContaining('Not enough permissions'),
    });
  });

  it('is promoted to the environment after it, which takes no builds, and published there once more', async () => {
    const version = await live();
    expect(await sluice('create', 'web', 'stable')).toMatchObject({ code: 2 });
    expect(await sluice('promote', 'web', 'stable')).toMatchObject({
      code: 0,
      out: expect.stringContaining('Promoting web to stable: done.'),
    });
    expect(await live(stablePort)).toBe(version);
    const [dev, stable] = [await sluice('published', 'web', 'dev'), await sluice('published', 'web', 'stable')];
    const digest = /sha256:[0-9a-f]{64}/.exec(dev.out)?.[0];
    expect(digest).toBeDefined();
    expect(stable.out).toContain(digest);
    expect(await sluice('republish', 'web', 'stable')).toMatchObject({ code: 0 });
    expect(await sluice('audit', '--app', 'web', '--action', 'promote')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/admin +promote +web stable +done/),
    });
  });

  it('passes through what knows no QUERY', async () => {
    proxy.refuse('QUERY');
    const build = await create();
    expect(await sluice('push', build, await app('six'), '--commit')).toMatchObject({ code: 0, err: '' });
    expect(proxy.passed.some(({ method, path }) => method === 'GET' && path.includes('missing_objects'))).toBe(true);
  });
});
