import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { problemShape } from '../../functions/api/shapes.ts';
import { tokenListShape, tokenRowsShape } from '../../functions/api/token-requests.ts';
import { defaultLimits } from '../../functions/ports/limits.ts';
import { silentLog, type Log, type LogFields } from '../../functions/runtime/log.ts';
import { adminToken, openTestApi } from '../support/api.ts';
import { bearer, mint } from '../support/tokens.ts';

let api: Awaited<ReturnType<typeof openTestApi>>;
let now: number;
/** In the future, as records vanish by the machine's clock. */
const start = 2_000_000_000_000;
beforeEach(async () => {
  now = start;
  api = await openTestApi({ ports: { clock: () => now } });
});
afterEach(async () => {
  await api.close();
});

const subset = async (body: object, by = adminToken) =>
  await api.request('POST', '/api/v1/token_subset', { body, ...bearer(by) });
const status = async (token: string, path = '/api/v1/apps') => (await api.request('GET', path, bearer(token))).status;
const list = async (by = adminToken, query = '') =>
  v.parse(tokenListShape, await (await api.request('GET', `/api/v1/tokens${query}`, bearer(by))).json());
const revoke = async (ids: readonly string[], by = adminToken) =>
  await api.request('POST', '/api/v1/tokens/revoke', { body: { token_ids: ids }, ...bearer(by) });

describe('a minted token', () => {
  it('is answered with 200, and good at once', async () => {
    const response = await subset({ name: 'ci', sub: '', scope: ['read'], duration: 60 });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      id: expect.stringMatching(/^[\w-]{36}$/),
      name: 'admin/ci',
      expires: '2033-05-18T03:34:20.000Z',
    });
  });

  it('is good for as long as it was asked for', async () => {
    const { token } = await mint(api, { duration: 60 });
    expect(await status(token)).toBe(200);
    now += 59_000;
    expect(await status(token)).toBe(200);
    now += 1000;
    expect(await status(token)).toBe(401);
  });

  it('is what a stock client of flat-manager asks for', async () => {
    const body = { name: 'minimal-upload', sub: 'build/7', scope: ['upload'], duration: 3600 };
    expect((await subset(body)).status).toBe(200);
    const all = { ...body, prefixes: ['org.acme'], apps: ['org.other.App'], repos: ['dev'] };
    expect((await subset(all)).status).toBe(200);
    const nothing = { ...body, prefixes: null, apps: null, repos: null };
    expect((await subset(nothing)).status).toBe(200);
  });

  it('mints narrower ones, named after it', async () => {
    const parent = await mint(api, { name: 'ci', apps: ['web'] });
    const child = await mint(api, { name: 'job 7', scope: ['read'] }, parent.token);
    expect(child.name).toBe('admin/ci/job 7');
    const [row] = (await list()).items;
    expect(row).toMatchObject({
      id: child.id,
      name: 'admin/ci/job 7',
      scope: ['read'],
      apps: ['web'],
      prefixes: [],
      parents: [parent.id],
      createdBy: 'admin/ci',
    });
  });

  it('mints no wider one, and says why', async () => {
    const { token } = await mint(api, { scope: ['read'], apps: ['web'] });
    for (const wider of [{ scope: ['read', 'apps'] }, { apps: ['other'] }, { prefixes: [''] }, { duration: 3601 }]) {
      const response = await subset({ name: 'x', duration: 60, ...wider }, token);
      const problem = v.parse(problemShape, await response.json());
      expect([response.status, problem['error-type']]).toEqual([403, 'token-insufficient']);
      expect(problem.message).toMatch(/^Not enough permissions: /);
    }
  });

  it.each([
    ['no name', { name: undefined }],
    ['a name of two lines', { name: 'a\nb' }],
    ['a name that moves the cursor', { name: 'a\u001b[2J' }],
    ['an empty name', { name: '' }],
    ['no duration', { duration: undefined }],
    ['no time at all', { duration: 0 }],
    ['less than no time', { duration: -1 }],
    ['half a second', { duration: 0.5 }],
    ['for ever', { duration: 1e12 }],
    ['a slip of the pen', { enviroments: ['dev'] }],
    ['a text for a list', { scope: 'build' }],
    ['an app without a name', { apps: [''] }],
    ['a hundred and one apps', { apps: Array.from({ length: 101 }, (_, at) => `a${at}`) }],
    ['a number in a list', { repos: [7] }],
    ['none of our scopes', { scope: ['everything'] }],
  ])('is not made of %s', async (_what, wrong) => {
    const response = await subset({ name: 'x', duration: 60, ...wrong });
    expect([response.status, v.parse(problemShape, await response.json())['error-type']]).toEqual([
      400,
      'generic-error',
    ]);
  });

  it('works as a password for nothing but Git', async () => {
    const { token } = await mint(api);
    const headers = { authorization: `Basic ${btoa(`x:${token}`)}` };
    expect((await api.request('GET', '/api/v1/apps', { headers })).status).toBe(401);
  });
});

describe('the list of tokens', () => {
  it('tells of each with its last use, to the minute, and never its value', async () => {
    const { id, token } = await mint(api, { name: 'ci', sub: 'app/web', repos: ['dev'] });
    const [unused] = (await list()).items;
    expect(unused).toEqual({
      id,
      name: 'admin/ci',
      sub: 'app/web',
      scope: expect.arrayContaining(['build', 'read']),
      prefixes: [''],
      apps: [],
      repos: ['dev'],
      environments: [''],
      branches: [''],
      parents: [],
      createdAt: '2033-05-18T03:33:20.000Z',
      createdBy: 'admin',
      expiresAt: '2033-05-18T04:33:20.000Z',
      lastUsedAt: null,
      revokedAt: null,
      revokedBy: null,
    });
    now += 5000;
    await status(token);
    const used = async () => (await list()).items[0]?.lastUsedAt;
    expect(await used()).toBe('2033-05-18T03:33:25.000Z');
    now += 59_000;
    await status(token);
    expect(await used()).toBe('2033-05-18T03:33:25.000Z');
    now += 1000;
    await status(token);
    expect(await used()).toBe('2033-05-18T03:34:25.000Z');
    expect(JSON.stringify(await list())).not.toContain(token);
  });

  it('comes page by page, the newest first', async () => {
    for (const name of ['one', 'two', 'three']) {
      await mint(api, { name });
      now += 1000;
    }
    const first = await list(adminToken, '?limit=2');
    expect(first.items.map(({ name }) => name)).toEqual(['admin/three', 'admin/two']);
    const last = await list(adminToken, `?limit=2&cursor=${encodeURIComponent(first.next ?? '')}`);
    expect([last.items.map(({ name }) => name), last.next]).toEqual([['admin/one'], null]);
  });

  it('shows those alone that allow no more than the token it is asked with', async () => {
    await mint(api, { name: 'web', apps: ['web'] });
    await mint(api, { name: 'other', apps: ['other'] });
    const manager = await mint(api, { name: 'manager', apps: ['web'], scope: ['tokenmanagement', 'read'] });
    await mint(api, { name: 'reader', scope: ['read'] }, manager.token);
    expect((await list(manager.token)).items.map(({ name }) => name).sort()).toEqual([
      'admin/manager',
      'admin/manager/reader',
    ]);
  });

  it('is had by ids as well, in the words of flat-manager', async () => {
    const { id, token } = await mint(api, { name: 'ci', duration: 60 });
    await status(token);
    const body = { token_ids: [id, 'unknown', id] };
    const response = await api.request('POST', '/api/v1/tokens/get_list', { body });
    expect([response.status, v.parse(tokenRowsShape, await response.json())]).toEqual([
      200,
      [
        {
          token_id: id,
          name: 'admin/ci',
          expires: '2033-05-18T03:34:20.000',
          last_used: '2033-05-18T03:33:20.000',
          revoked_at: null,
        },
      ],
    ]);
  });
});

describe('a revocation', () => {
  it('ends a token and everything that was minted from it, from the next request on', async () => {
    const parent = await mint(api, { name: 'parent' });
    const child = await mint(api, { name: 'child' }, parent.token);
    const grandchild = await mint(api, { name: 'grandchild' }, child.token);
    const other = await mint(api, { name: 'other' });
    const response = await revoke([child.id, 'unknown']);
    expect([response.status, await response.text()]).toEqual([204, '']);
    const tokens = [parent, child, grandchild, other];
    expect(await Promise.all(tokens.map(async ({ token }) => await status(token)))).toEqual([200, 401, 401, 200]);
    const revoked = (await list()).items.map(({ name, revokedBy }) => [name, revokedBy]);
    expect(Object.fromEntries(revoked)).toEqual({
      'admin/parent': null,
      'admin/parent/child': 'admin',
      'admin/parent/child/grandchild': 'admin',
      'admin/other': null,
    });
  });

  it('is told with its time, which a second one does not change', async () => {
    const { id } = await mint(api);
    await revoke([id]);
    now += 5000;
    await revoke([id]);
    const body = { token_ids: [id] };
    const rows = await (await api.request('POST', '/api/v1/tokens/get_list', { body })).json();
    expect(rows).toMatchObject([{ token_id: id, revoked_at: '2033-05-18T03:33:20.000' }]);
  });

  it('holds against a use at the same moment', async () => {
    const { id, token } = await mint(api);
    await Promise.all([revoke([id]), status(token), status(token), status(token)]);
    expect(await status(token)).toBe(401);
  });

  it('of a wider token is nothing that a narrower one may do, and then none is revoked', async () => {
    const wide = await mint(api);
    const manager = await mint(api, { scope: ['tokenmanagement', 'read'] });
    const own = await mint(api, { scope: ['read'] }, manager.token);
    expect((await revoke([own.id, wide.id], manager.token)).status).toBe(403);
    expect([await status(own.token), await status(wide.token)]).toEqual([200, 200]);
    expect((await revoke([own.id], manager.token)).status).toBe(204);
    expect(await status(own.token)).toBe(401);
  });
});

describe('a new admin token', () => {
  it('ends every token that was minted by the old one, as soon as that is gone', async () => {
    let adminTokens = ['the-old-admin-token'];
    const rotating = await openTestApi({ credentials: async () => ({ adminTokens, webhookSecrets: [] }) });
    const { token } = await mint(rotating, {}, 'the-old-admin-token');
    const ask = async () => (await rotating.request('GET', '/api/v1/apps', bearer(token))).status;
    adminTokens = ['the-new-admin-token', 'the-old-admin-token'];
    expect(await ask()).toBe(200);
    adminTokens = ['the-new-admin-token'];
    expect(await ask()).toBe(401);
    await rotating.close();
  });
});

describe('a token that asks too often', () => {
  const limited = async (limit: number) =>
    await openTestApi({
      ports: {
        clock: () => now,
        policy: { ...api.ports.policy, limits: { ...defaultLimits, requestsPerMinute: limit } },
      },
    });

  it('is told to wait: 429, and 503 where a client of flat-manager asks', async () => {
    now = start + 40_000;
    const busy = await limited(5);
    const { token } = await mint(busy);
    const ask = async (path: string) => await busy.request('GET', path, bearer(token));
    for (let at = 0; at < 5; at += 1) expect((await ask('/api/v1/apps')).status).toBe(200);
    const over = await ask('/api/v1/apps');
    expect([over.status, over.headers.get('retry-after')]).toEqual([429, '60']);
    const protocol = await ask('/api/v1/build');
    expect([protocol.status, protocol.headers.get('retry-after')]).toEqual([503, '60']);
    expect(v.parse(problemShape, await protocol.json()).message).toContain('A token may make 5 requests in a minute');
    now += 60_000;
    expect((await ask('/api/v1/apps')).status).toBe(200);
    await busy.close();
  });

  it('shuts out nobody else', async () => {
    const busy = await limited(2);
    const [one, other] = [await mint(busy), await mint(busy)];
    now += 60_000;
    for (let at = 0; at < 5; at += 1) await busy.request('GET', '/api/v1/apps', bearer(one.token));
    expect((await busy.request('GET', '/api/v1/apps', bearer(other.token))).status).toBe(200);
    await busy.close();
  });
});

describe('a limited token', () => {
  const app = { environments: ['dev', 'stable'].map((name) => ({ name, targets: [{ name: 'web' }] })) };
  beforeEach(async () => {
    for (const id of ['web', 'other']) await api.request('PUT', `/api/v1/apps/${id}`, { body: app });
    for (const [id, environment] of [
      ['web', 'dev'],
      ['web', 'stable'],
      ['other', 'dev'],
    ]) {
      await api.request('POST', '/api/v1/deployments', { body: { app: id, environment, image: 'web:1' } });
    }
  });
  const items = async (path: string, token: string) => {
    const shape = v.object({ items: v.array(v.looseObject({})) });
    return v.parse(shape, await (await api.request('GET', path, bearer(token))).json()).items;
  };
  const places = async (token: string) =>
    (await items('/api/v1/deployments', token))
      .map((item) => `${String(item['app'])}/${String(item['environment'])}`)
      .sort();

  it.each([
    [{}, ['other', 'web'], ['other/dev', 'web/dev', 'web/stable']],
    [{ apps: ['web'] }, ['web'], ['web/dev', 'web/stable']],
    [{ prefixes: ['web'] }, ['web'], ['web/dev', 'web/stable']],
    [{ apps: ['none'] }, [], []],
    [{ environments: ['dev'] }, ['other', 'web'], ['other/dev', 'web/dev']],
    [{ repos: ['stable'], apps: ['web'] }, ['web'], ['web/stable']],
    [{ sub: 'app/other' }, ['other'], ['other/dev']],
    [{ sub: 'app/web/stable' }, [], ['web/stable']],
  ])('of %j sees the apps %j and the deployments %j', async (limits, apps, deployments) => {
    const { token } = await mint(api, { ...limits, scope: ['read'] });
    expect((await items('/api/v1/apps', token)).map(({ id }) => id)).toEqual(apps);
    expect(await places(token)).toEqual(deployments);
  });

  it('may deploy from its branches alone, and no commit of which nobody knows the branch', async () => {
    const source = { repoUrl: 'https://github.com/acme/web' };
    const body = { ...app, source, build: { kind: 'image' } };
    await api.request('PUT', '/api/v1/apps/web', { body });
    const { token } = await mint(api, { scope: ['deploy'], branches: ['main'] });
    const deploy = async (ref: string) =>
      (
        await api.request('POST', '/api/v1/deployments', {
          body: { app: 'web', environment: 'dev', source: { ref } },
          ...bearer(token),
        })
      ).status;
    expect([await deploy('main'), await deploy('refs/heads/main')]).toEqual([202, 202]);
    expect([await deploy('next'), await deploy('a'.repeat(40)), await deploy('refs/tags/main')]).toEqual([
      403, 403, 403,
    ]);
  });

  it('gives away no rights by an app’s file that it has not itself', async () => {
    const rule = { repository: 'mallory/web', branch: 'main', environments: ['dev'], scopes: ['deploy'] };
    const put = async (token: string, more: object) =>
      (await api.request('PUT', '/api/v1/apps/web', { body: { ...app, ...more }, ...bearer(token) })).status;
    const { token } = await mint(api, { scope: ['apps'], apps: ['web'] });
    expect(await put(token, {})).toBe(200);
    expect(await put(token, { ci: [rule] })).toBe(403);
    expect(await put(token, { appId: 'org.other.App' })).toBe(403);
    const trusted = await mint(api, { scope: ['apps', 'deploy'], apps: ['web', 'org.acme.Web'] });
    expect(await put(trusted.token, { ci: [rule], appId: 'org.acme.Web' })).toBe(200);
    // What is there already is nothing that it gives.
    expect(await put(token, { ci: [rule], appId: 'org.acme.Web' })).toBe(200);
    const bounded = await mint(api, { scope: ['apps', 'deploy'], apps: ['web'], branches: ['next'] });
    expect(await put(bounded.token, { ci: [rule, { ...rule, branch: '**' }], appId: 'org.acme.Web' })).toBe(403);
  });
});

describe('a secret', () => {
  it('is in no log and in no record: neither a token, nor what it is signed by', async () => {
    const lines: string[] = [];
    const keptLog = (more: LogFields = {}): Log => {
      const keep = (message: string, fields: LogFields = {}) =>
        void lines.push(JSON.stringify([message, { ...more, ...fields }]));
      return {
        ...silentLog,
        debug: keep,
        info: keep,
        warn: keep,
        error: keep,
        with: (fields) => keptLog({ ...more, ...fields }),
      };
    };
    const written: string[] = [];
    const { records } = api.ports;
    const watched = await openTestApi({
      ports: {
        log: keptLog(),
        records: {
          ...records,
          create: async (key, value, options) => {
            written.push(JSON.stringify([key, value]));
            return await records.create(key, value, options);
          },
          replace: async (stored, value, options) => {
            written.push(JSON.stringify([stored.key, value]));
            return await records.replace(stored, value, options);
          },
        },
      },
    });
    const parent = await mint(watched, { name: 'parent', duration: 7200 });
    const child = await mint(watched, { name: 'child', scope: ['read'] }, parent.token);
    await watched.request('GET', '/api/v1/apps', bearer(child.token));
    await watched.request('PUT', '/api/v1/apps/web', { body: {}, ...bearer(child.token) });
    await watched.request('POST', '/api/v1/tokens/revoke', {
      body: { token_ids: [child.id] },
      ...bearer(parent.token),
    });
    await watched.request('GET', '/api/v1/apps', bearer(child.token));
    await watched.request('GET', '/api/v1/apps', bearer(`${child.token}x`));
    expect([lines.length > 5, written.length > 5]).toEqual([true, true]);
    const told = [...lines, ...written].join('\n');
    for (const { token } of [parent, child]) {
      const [, payload = 'none', signature = 'none'] = token.split('.');
      for (const piece of [token, payload, signature, adminToken]) expect(told).not.toContain(piece);
    }
    await watched.close();
  });
});
