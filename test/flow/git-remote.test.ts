import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { v7 } from 'uuid';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { listEntries } from '../../functions/access/audit.ts';
import { authenticator } from '../../functions/access/authenticate.ts';
import { mintToken } from '../../functions/access/mint.ts';
import type { MintRequest } from '../../functions/access/narrow.ts';
import { root } from '../../functions/access/principal.ts';
import { applyApp } from '../../functions/apps/registry.ts';
import { Problem, problemKinds } from '../../functions/runtime/errors.ts';
import { silentLog } from '../../functions/runtime/log.ts';
import { receiveDelivery, type DeployPush } from '../../functions/webhook/receive.ts';
import { gitRemote } from '../../local/git-remote.ts';
import { startHttpServer, type HttpServer } from '../../local/http-server.ts';
import { workTree, type WorkTree } from '../support/git.ts';
import { openTestRecords } from '../support/records.ts';

const adminToken = randomBytes(16).toString('hex');
const webhookSecret = randomBytes(16).toString('hex');
const targets = [{ name: 'web' }];

const open = await openTestRecords();
const { records } = open;
let folder = '';
let server: HttpServer;
let remote: ReturnType<typeof gitRemote>;
/** Where the hook finds the server; a test points it elsewhere. */
let hookUrl = '';
/** Every request to the remote that is not over. */
const running = new Set<Promise<void>>();

let calls: Parameters<DeployPush>[0][] = [];
let payloads: Record<string, unknown>[] = [];
const deployPush: DeployPush = async (input) => {
  calls.push(input);
  return { id: `${input.environment.name}-${input.push.commit.slice(0, 8)}`, isNew: true };
};

/** The way of a webhook, without what stands behind it. */
async function receive(request: Request): Promise<Response> {
  const rawBody = new Uint8Array(await request.arrayBuffer());
  payloads.push(JSON.parse(new TextDecoder().decode(rawBody)) as Record<string, unknown>);
  try {
    const delivery = { rawBody, headers: request.headers, secrets: [webhookSecret], deployPush };
    const { status, body } = await receiveDelivery({ records }, delivery);
    return Response.json(body, { status });
  } catch (error) {
    const status = error instanceof Problem ? problemKinds[error.kind].status : 500;
    return Response.json({ message: String(error) }, { status });
  }
}

function openRemote(limits: { maxBytes?: number; idleMs?: number } = {}) {
  const url = () => hookUrl;
  return gitRemote({
    data: folder,
    authenticate: authenticator({ adminTokens: async () => [adminToken], records, clock: Date.now, log: silentLog }),
    webhookSecret,
    records,
    log: silentLog,
    clock: Date.now,
    newId: v7,
    url,
    environment: process.env,
    limits,
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-remote-'));
  remote = openRemote();
  server = await startHttpServer({
    host: '127.0.0.1',
    port: 0,
    log: silentLog,
    fetch: receive,
    first: (request, response) => {
      if (!request.url?.startsWith('/git/')) return false;
      const handled = remote.handle(request, response).finally(() => running.delete(handled));
      running.add(handled);
      return true;
    },
  });
  hookUrl = server.url;
});
afterAll(async () => {
  await server.close(1000);
  await Promise.all(running);
  await open.close();
  await rm(folder, { recursive: true, force: true });
});

let apps = 0;
let app = '';
let tree: WorkTree;
/** The remote's URL with a credential in it. */
const urlOf = (name: string, token = adminToken) => `${server.url.replace('://', `://ann:${token}@`)}/git/${name}.git`;
const push = (...refs: readonly string[]) => tree.tryGit('push', urlOf(app), ...refs);

const register = async (name: string, repoUrl: string) => {
  const policy = {
    source: { allowFile: true, ownRemote: `${server.url}/git/` },
    fetch: { allowPrivateHosts: false, maxBytes: 1 },
  };
  const environments = [
    { name: 'dev', branch: 'main', targets },
    { name: 'release', tag: 'v*', targets },
  ];
  const input = { source: { repoUrl }, build: { kind: 'image' }, environments };
  await applyApp({ records, clock: () => 1, policy }, { id: name, input });
};

beforeEach(async () => {
  calls = [];
  payloads = [];
  apps += 1;
  app = `web${apps}`;
  await register(app, `${server.url}/git/${app}.git`);
  tree = await workTree(join(folder, 'trees', app));
});

describe('a push to the Git remote of this machine', () => {
  it('is deployed, and its pusher reads what is and where to follow it', async () => {
    const commit = await tree.commit('a.txt', 'one');
    const { ok, stderr } = await push('main');
    expect(ok).toBe(true);
    const id = `dev-${commit.slice(0, 8)}`;
    expect(stderr).toContain(`remote: Sluice: main → ${app}/dev: deployment ${id}`);
    expect(stderr).toContain(`remote: Sluice:   sluice follow ${id}`);
    expect(stderr).toContain(`remote: Sluice:   ${server.url}/api/v1/deployments/${id}`);
    expect(calls).toHaveLength(1);
    expect(calls[0]?.push).toMatchObject({ ref: 'refs/heads/main', commit, pusher: 'ann' });
    expect(calls[0]?.push.deliveryId).toMatch(/^[0-9a-f-]{36}$/);
    expect(Math.abs((calls[0]?.push.pushedAtSeconds ?? 0) - Date.now() / 1000)).toBeLessThan(60);
  });

  it('tells a second push from the first, and a forced one from both', async () => {
    const first = await tree.commit('a.txt', 'one');
    await push('main');
    const second = await tree.commit('a.txt', 'two');
    await push('main');
    await tree.git('reset', '--quiet', '--hard', first);
    const other = await tree.commit('a.txt', 'three');
    expect((await push('main')).ok).toBe(false);
    expect((await push('--force', 'main')).ok).toBe(true);
    const zeros = '0'.repeat(40);
    expect(payloads).toMatchObject([
      {
        before: zeros,
        after: first,
        created: true,
        deleted: false,
        forced: false,
        head_commit: { message: 'Write a.txt' },
      },
      { before: first, after: second, created: false, deleted: false, forced: false },
      { before: second, after: other, created: false, deleted: false, forced: true },
    ]);
    expect(new Set(calls.map((call) => call.push.deliveryId)).size).toBe(3);
  });

  it('to a branch that nobody follows deploys nothing and says so', async () => {
    await tree.commit('a.txt', 'one');
    const { ok, stderr } = await push('main:feature/x');
    expect(ok).toBe(true);
    expect(stderr).toContain(`nothing is deployed. No environment of ${app} follows the branch feature/x.`);
    expect(calls).toEqual([]);
  });

  it('that deletes a branch deploys nothing and says so', async () => {
    await tree.commit('a.txt', 'one');
    await push('main', 'main:old');
    calls = [];
    const { ok, stderr } = await push('--delete', 'old');
    expect(ok).toBe(true);
    expect(stderr).toContain('The branch old was deleted.');
    expect(payloads.at(-1)).toMatchObject({ deleted: true, head_commit: null });
    expect(calls).toEqual([]);
  });

  it('of tags deploys the commit that each names, also when the tag is annotated', async () => {
    const commit = await tree.commit('a.txt', 'one');
    await tree.git('tag', 'v1');
    await tree.git('tag', '--annotate', '--message', 'two', 'v2');
    await tree.git('tag', 'blob', 'HEAD:a.txt');
    const { ok, stderr } = await push('--tags');
    expect(ok).toBe(true);
    expect(stderr).toContain('blob: nothing is deployed. It names no commit.');
    expect(calls.map(({ push, environment }) => [push.ref, push.commit, environment.name])).toEqual([
      ['refs/tags/v1', commit, 'release'],
      ['refs/tags/v2', commit, 'release'],
    ]);
  });

  it('of an app whose source is elsewhere says how to deploy from here', async () => {
    await register(app, 'https://github.com/acme/elsewhere');
    await tree.commit('a.txt', 'one');
    const { ok, stderr } = await push('main');
    expect(ok).toBe(true);
    expect(stderr).toContain('No app has its source in');
    expect(stderr).toContain(`set the source.repoUrl of ${app} to ${server.url}/git/${app}.git`);
  });

  it('of 20 MB comes whole', async () => {
    await tree.commit('big.bin', randomBytes(20 * 1024 * 1024));
    const { ok, stderr } = await push('main');
    expect(stderr).toContain('deployment dev-');
    expect(ok).toBe(true);
    const clone = await workTree(join(folder, 'clones', app), false);
    await clone.git('clone', '--quiet', urlOf(app), '.');
    expect((await stat(join(clone.path, 'big.bin'))).size).toBe(20 * 1024 * 1024);
  });

  it('from a shallow clone is taken', async () => {
    await tree.commit('a.txt', 'one');
    await tree.commit('a.txt', 'two');
    const shallow = await workTree(join(folder, 'clones', app), false);
    await shallow.git('clone', '--quiet', '--depth=1', `file://${tree.path}`, '.');
    expect((await shallow.tryGit('push', urlOf(app), 'main')).ok).toBe(true);
    expect(calls).toHaveLength(1);
  });

  it('can be one of many at once', async () => {
    await tree.commit('a.txt', 'one');
    await push('main');
    const results = await Promise.all(
      Array.from({ length: 6 }, async (_, at) => {
        const own = await workTree(join(folder, 'clones', `${app}-${at}`), false);
        await own.git('clone', '--quiet', urlOf(app), '.');
        await own.commit(`${at}.txt`, String(at));
        return await own.tryGit('push', urlOf(app), `HEAD:refs/heads/b${at}`);
      }),
    );
    expect(results.map(({ ok }) => ok)).toEqual(Array(6).fill(true));
    const { stdout } = await tree.git('ls-remote', urlOf(app));
    expect(stdout.match(/refs\/heads\/b\d/g)).toHaveLength(6);
  });
});

describe('the Git remote of this machine', () => {
  it('gives back what was pushed: whole, shallow, and by an exact commit', async () => {
    const first = await tree.commit('a.txt', 'one');
    const second = await tree.commit('a.txt', 'two');
    await push('main');
    const clone = await workTree(join(folder, 'clones', app), false);
    await clone.git('clone', '--quiet', urlOf(app), '.');
    expect((await clone.git('rev-parse', 'HEAD')).stdout.trim()).toBe(second);
    expect((await clone.git('branch', '--show-current')).stdout.trim()).toBe('main');
    const exact = await workTree(join(folder, 'clones', `${app}-exact`));
    await exact.git('fetch', '--quiet', '--depth=1', urlOf(app), first);
    expect((await exact.git('rev-parse', 'FETCH_HEAD')).stdout.trim()).toBe(first);
    await exact.git('-c', 'protocol.version=0', 'fetch', '--quiet', '--depth=1', urlOf(app), first);
  });

  it('shows clients nothing of its own notes', async () => {
    await tree.commit('a.txt', 'one');
    await push('main');
    const { stdout } = await tree.git('ls-remote', urlOf(app));
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split('\t')[1]),
    ).toEqual(['HEAD', 'refs/heads/main']);
    expect((await push('main:refs/sluice/told/heads/x')).ok).toBe(false);
  });

  it('asks for a credential, and takes none but the token', async () => {
    const asked = await fetch(`${server.url}/git/${app}.git/info/refs?service=git-receive-pack`);
    expect(asked.status).toBe(401);
    expect(asked.headers.get('www-authenticate')).toBe('Basic realm="sluice", charset="UTF-8"');
    await tree.commit('a.txt', 'one');
    const wrong = await tree.tryGit('push', urlOf(app, 'wrong-token-0123'), 'main');
    expect(wrong.ok).toBe(false);
    expect(wrong.stderr).toContain('Authentication failed');
    expect((await tree.tryGit('clone', urlOf(app, 'wrong-token-0123'), 'x')).ok).toBe(false);
    expect(await readdir(join(folder, 'git'))).not.toContain(`${app}.git`);
  });

  it('takes a minted token that may deploy the app, and tells of the push by its name', async () => {
    const minting = {
      records,
      clock: Date.now,
      newId: v7,
      adminTokens: async () => await Promise.resolve([adminToken]),
    };
    const mint = async (more: Partial<MintRequest>) =>
      (await mintToken(minting, root, { name: 'ci', durationSeconds: 60, ...more })).value;
    await tree.commit('a.txt', 'one');
    const pushBy = async (token: string) => await tree.tryGit('push', urlOf(app, token), 'main');
    const reader = await pushBy(await mint({ scope: ['read'], apps: [app] }));
    expect([reader.ok, reader.stderr]).toEqual([false, expect.stringContaining('it has not the scope deploy')]);
    const other = await pushBy(await mint({ scope: ['deploy'], apps: ['other'] }));
    expect([other.ok, other.stderr]).toEqual([false, expect.stringContaining(`it does not allow the app ${app}`)]);
    expect(calls).toEqual([]);
    expect((await pushBy(await mint({ scope: ['deploy'], apps: [app] }))).ok).toBe(true);
    expect(calls[0]?.push).toMatchObject({ pusher: 'admin/ci' });
    const { items } = await listEntries(records, { actor: 'admin/ci' });
    const about = { method: 'POST', path: `/git/${app}.git/git-receive-pack`, address: '127.0.0.1' };
    expect(items.map(({ action, result }) => `${action} ${result}`)).toEqual([
      'gitPush done',
      'gitPush refused',
      'gitPush refused',
    ]);
    expect(items[0]).toMatchObject({ ...about, app, jti: expect.any(String) });
  });

  it('has repositories for registered apps only, and says so', async () => {
    await tree.commit('a.txt', 'one');
    const { ok, stderr } = await tree.tryGit('push', urlOf('nobody'), 'main');
    expect(ok).toBe(false);
    expect(stderr).toContain('remote: There is no app nobody. Register it first: sluice apps apply -f app.json');
    expect(await readdir(join(folder, 'git'))).not.toContain('nobody.git');
  });

  it.each([
    ['GET', '/git/', 404],
    ['GET', '/git/APP.git/HEAD', 404],
    ['GET', '/git/APP.git/config', 404],
    ['GET', '/git/APP.git/objects/info/packs', 404],
    ['GET', '/git/hooks/post-receive', 404],
    ['GET', '/git/..%2frecords/info/refs?service=git-upload-pack', 404],
    ['GET', '/git/Web.git/info/refs?service=git-upload-pack', 404],
    ['GET', '/git/-x.git/info/refs?service=git-upload-pack', 404],
    ['GET', '/git/APP.git/info/refs', 403],
    ['GET', '/git/APP.git/info/refs?service=git-upload-archive', 403],
    ['POST', '/git/APP.git/info/refs?service=git-upload-pack', 405],
    ['GET', '/git/APP.git/git-receive-pack', 405],
    ['POST', '/git/APP.git/git-upload-archive', 404],
    ['POST', '/git/APP.git/git-receive-pack', 415],
  ])('answers %s %s with %d', async (method, path, status) => {
    const response = await fetch(server.url + path.replace('APP', app), {
      method,
      headers: { authorization: `Bearer ${adminToken}` },
    });
    expect(response.status).toBe(status);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('reads a body that is chunked and compressed', async () => {
    await tree.commit('a.txt', 'one');
    await push('main');
    const body = gzipSync('0014command=ls-refs\n0000');
    const response = await fetch(`${server.url}/git/${app}.git/git-upload-pack`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${adminToken}`,
        'content-type': 'application/x-git-upload-pack-request',
        'content-encoding': 'gzip',
        'git-protocol': 'version=2',
      },
      body: new Blob([body]).stream(),
      duplex: 'half',
    });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('refs/heads/main');
  });

  it('refuses a push that is too large, with the reason, and takes the next', async () => {
    const usual = remote;
    remote = openRemote({ maxBytes: 100_000 });
    try {
      await tree.commit('big.bin', randomBytes(300_000));
      const big = await push('main');
      expect(big.ok).toBe(false);
      expect(big.stderr).toContain('413');
      const streamed = await tree.tryGit('-c', 'http.postBuffer=65536', 'push', urlOf(app), 'main');
      expect(streamed.ok).toBe(false);
      expect(streamed.stderr).toContain('exceeds maximum allowed size');
      await tree.git('commit', '--quiet', '--amend', '--allow-empty', '--message', 'x');
      await tree.git('checkout', '--quiet', '--orphan', 'small');
      await tree.git('rm', '--quiet', '-r', '--force', '.');
      await tree.commit('small.txt', 'one');
      expect((await push('small:main')).ok).toBe(true);
    } finally {
      remote = usual;
    }
  });
});

describe('a body that has no end', () => {
  it('is cut', async () => {
    const usual = remote;
    remote = openRemote({ maxBytes: 100_000 });
    try {
      const endless = httpRequest(`${server.url}/git/${app}.git/git-receive-pack`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${adminToken}`,
          'content-type': 'application/x-git-receive-pack-request',
        },
      }).on('error', () => {});
      const closed = new Promise((resolve) => endless.once('close', resolve));
      const chunk = Buffer.alloc(1 << 20);
      // One chunk at a time, as fast as they are taken: each is more than a socket buffers.
      const more = () => void (endless.destroyed || endless.write(chunk));
      endless.on('drain', more);
      more();
      await closed;
      await Promise.all(running);
      expect(running.size).toBe(0);
    } finally {
      remote = usual;
    }
  });
});

const packetLine = (text: string) => `${(text.length + 4).toString(16).padStart(4, '0')}${text}`;

/** What Git sends for a push of one new branch, to send it otherwise. */
async function pushBody(commit: string): Promise<Buffer> {
  await tree.git('gc', '--quiet');
  const packs = (await readdir(join(tree.path, '.git/objects/pack'))).filter((name) => name.endsWith('.pack'));
  const pack = await readFile(join(tree.path, '.git/objects/pack', packs[0] ?? ''));
  const command = packetLine(`${'0'.repeat(40)} ${commit} refs/heads/main\0 report-status\n`);
  return Buffer.concat([Buffer.from(`${command}0000`), pack]);
}

function startPush(length: number) {
  return httpRequest(`${server.url}/git/${app}.git/git-receive-pack`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${adminToken}`,
      'content-type': 'application/x-git-receive-pack-request',
      'content-length': length,
    },
  }).on('error', () => {});
}

const until = async (isTrue: () => boolean | Promise<boolean>) => {
  while (!(await isTrue())) await pause(10);
};
const repository = () => join(folder, 'git', `${app}.git`);
const drafts = async () =>
  (await readdir(join(repository(), 'objects'), { recursive: true })).filter((name) => /incoming|tmp_/.test(name));

describe('a push that breaks off', () => {
  it('in the middle leaves nothing behind, and can be made again', async () => {
    const commit = await tree.commit('big.bin', randomBytes(3_000_000));
    const body = await pushBody(commit);
    const request = startPush(body.length);
    request.write(body.subarray(0, 2_000_000));
    await until(
      async () =>
        await drafts().then(
          (found) => found.length > 0,
          () => false,
        ),
    );
    expect(running.size).toBe(1);
    request.destroy();
    await Promise.all(running);
    expect(await drafts()).toEqual([]);
    expect(calls).toEqual([]);
    expect((await push('main')).ok).toBe(true);
    expect(calls[0]?.push.commit).toBe(commit);
  });

  it('after its last byte is carried through and told', async () => {
    const commit = await tree.commit('a.txt', 'one');
    const body = await pushBody(commit);
    const request = startPush(body.length);
    request.end(body);
    await once(request, 'finish');
    await until(() => running.size > 0);
    // The answer's head means that Git has the request; there its client goes away.
    await once(request, 'response');
    request.destroy();
    await Promise.all(running);
    expect(calls.map((call) => call.push.commit)).toEqual([commit]);
  });

  it('by saying nothing any more is ended', async () => {
    const usual = remote;
    remote = openRemote({ idleMs: 300 });
    try {
      const body = await pushBody(await tree.commit('big.bin', randomBytes(100_000)));
      const request = startPush(body.length);
      request.write(body.subarray(0, 50_000));
      await until(() => running.size > 0);
      await Promise.all(running);
      expect(await drafts()).toEqual([]);
      request.destroy();
    } finally {
      remote = usual;
    }
  });
});

describe('a push that the control plane was not told of', () => {
  /** Takes every connection and answers none: a port nobody has could be somebody else's a moment later. */
  const deaf = { server: createServer((socket) => socket.destroy()), url: '' };
  beforeAll(async () => {
    deaf.server.listen(0, '127.0.0.1');
    await once(deaf.server, 'listening');
    deaf.url = `http://127.0.0.1:${(deaf.server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    deaf.server.close();
  });

  it('is taken with a warning, and told when the server starts next, once', async () => {
    const commit = await tree.commit('a.txt', 'one');
    await tree.git('tag', 'v1');
    hookUrl = deaf.url;
    try {
      const { ok, stderr } = await push('main', 'v1');
      expect(ok).toBe(true);
      expect(stderr).toMatch(/WARNING: main is stored here, but the control plane did not take the news: [A-Z_]+ /);
      expect(stderr).toContain(`sluice deploy ${app} <environment> --git-ref main`);
    } finally {
      hookUrl = server.url;
    }
    expect(calls).toEqual([]);
    await remote.recover();
    const mine = () => calls.filter(({ record }) => record.id === app).map(({ push }) => [push.ref, push.commit]);
    expect(mine()).toEqual([
      ['refs/heads/main', commit],
      ['refs/tags/v1', commit],
    ]);
    calls = [];
    await remote.recover();
    expect(calls).toEqual([]);
  });

  it('includes one that was told in part, and a branch that is gone', async () => {
    await tree.commit('a.txt', 'one');
    await push('main', 'main:gone');
    const second = await tree.commit('a.txt', 'two');
    hookUrl = deaf.url;
    try {
      await push('main', ':gone');
    } finally {
      hookUrl = server.url;
    }
    payloads = [];
    await remote.recover();
    expect(payloads.filter(({ repository }) => (repository as { name: string }).name === app)).toMatchObject([
      { ref: 'refs/heads/main', after: second, created: false },
      { ref: 'refs/heads/gone', deleted: true },
    ]);
  });
});
