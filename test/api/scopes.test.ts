import { createHmac, hkdfSync } from 'node:crypto';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { scopes } from '../../functions/access/claims.ts';
import { requirements } from '../../functions/access/requirements.ts';
import { adminToken, openTestApi } from '../support/api.ts';
import { mint } from '../support/tokens.ts';

/**
 * What every route needs, written down a second time and by hand: the scopes (any of them), the sub that must be
 * covered, and what the request below is about: the app web, its environment dev, all environments, or a list.
 */
const table = `
GET    /metrics                                              metrics                  -            -
GET    /api/v1/apps                                          read                     app*         list
GET    /api/v1/apps/:app                                     read                     app/web      app
PUT    /api/v1/apps/:app                                     apps                     app/web      app,all
DELETE /api/v1/apps/:app                                     apps                     app/web      app,all
POST   /api/v1/apps/:app/deploy-key                          apps                     app/web      app,all
GET    /api/v1/apps/:app/secrets                             secrets                  app/web      app
PUT    /api/v1/apps/:app/secrets/:name                       secrets                  app/web      app,all
DELETE /api/v1/apps/:app/secrets/:name                       secrets                  app/web      app,all
GET    /api/v1/apps/:app/environments/:environment           read                     app/web/dev  app,dev
GET    /api/v1/apps/:app/environments/:environment/logs      read                     app/web/dev  app,dev
GET    /api/v1/apps/:app/environments/:environment/published read                     app/web/dev  app,dev
POST   /api/v1/apps/:app/environments/:environment/promote   deploy                   app/web/dev  app,dev
POST   /api/v1/apps/:app/environments/:environment/rollback  rollback                 app/web/dev  app,dev
PUT    /api/v1/apps/:app/environments/:environment/scale     scale                    app/web/dev  app,dev
POST   /api/v1/deployments                                   deploy                   app/web/dev  app,dev
GET    /api/v1/deployments                                   read                     app*         list
GET    /api/v1/deployments/:id                               read                     app/web/dev  app,dev
GET    /api/v1/deployments/:id/events                        read                     app/web/dev  app,dev
POST   /api/v1/deployments/:id/cancel                        deploy                   app/web/dev  app,dev
POST   /api/v1/build                                         build                    build        app,dev
GET    /api/v1/build                                         build|download           build        list
GET    /api/v1/build/:id                                     build|upload             build/:id    app,dev
GET    /api/v1/build/:id/extended                            build|upload             build/:id    app,dev
GET    /api/v1/build/:id/logs                                build|upload|read        build/:id    app,dev
POST   /api/v1/build/:id/build_ref                           upload                   build/:id    app,dev
GET    /api/v1/build/:id/build_ref/:ref                      build                    build/:id    app,dev
GET    /api/v1/build/:id/missing_objects                     upload                   build/:id    app,dev
POST   /api/v1/build/:id/upload                              upload                   build/:id    app,dev
POST   /api/v1/build/:id/uploads                             upload                   build/:id    app,dev
POST   /api/v1/build/:id/add_extra_ids                       upload                   build/:id    app,dev
POST   /api/v1/build/:id/commit                              build                    build/:id    app,dev
GET    /api/v1/build/:id/commit                              build                    build/:id    app,dev
POST   /api/v1/build/:id/publish                             publish                  build/:id    app,dev
GET    /api/v1/build/:id/publish                             build                    build/:id    app,dev
GET    /api/v1/build/:id/check/:name/job                     build                    build/:id    app,dev
POST   /api/v1/build/:id/purge                               build                    build/:id    app,dev
GET    /api/v1/job/:id                                       jobs                     build        app,dev
POST   /api/v1/job/:id/check/review                          reviewcheck              build        app,dev
POST   /api/v1/job/:id/retry                                 jobs                     build        app,dev
GET    /api/v1/hooks/dead                                    jobs                     -            list
POST   /api/v1/repo/:repo/republish                          republish                build        app,dev
POST   /api/v1/prune                                         tokenmanagement          build        app,all
GET    /repo/:app/:environment/config                        download                 app/web/dev  app,dev
GET    /repo/:app/:environment/refs/heads/:type/:name/:arch/:branch download          app/web/dev  app,dev
GET    /repo/:app/:environment/objects/:folder/:rest         download                 app/web/dev  app,dev
GET    /repo/:app/:environment/deltas/:folder/:rest/:piece   download                 app/web/dev  app,dev
POST   /api/v1/token_subset                                  any                      any          -
POST   /api/v1/tokens/get_list                               tokenmanagement          -            -
POST   /api/v1/tokens/revoke                                 tokenmanagement          -            -
GET    /api/v1/tokens                                        tokenmanagement          -            -
GET    /api/v1/audit                                         audit                    -            list
`;
const openRoutes = [
  'GET /health',
  'GET /ready',
  'GET /openapi.json',
  'POST /webhooks/github',
  'POST /api/v1/token/exchange',
];

type Row = {
  readonly method: string;
  readonly path: string;
  readonly scopes: readonly string[];
  readonly sub: string;
  readonly about: readonly string[];
};
const rows: readonly Row[] = table
  .trim()
  .split('\n')
  .map((line) => {
    const [method = '', path = '', scopes = '', sub = '', about = ''] = line.split(/ +/);
    return { method, path, scopes: scopes.split('|'), sub: sub === '-' ? '' : sub, about: about.split(',') };
  });

/** A kind of token, and on which rows it is enough; `refusedBy` where it is none at all. */
type Shape = { readonly token: string; readonly isEnough: (row: Row) => boolean; readonly refusedBy?: 401 };

const subIs = (sub: string) => (row: Row) => {
  if (row.sub === 'any') return true;
  // A list shows what there is beneath the sub, so one that is inside of what the list is of is enough.
  if (row.sub === 'app*') return sub === 'app' || sub.startsWith('app/');
  return row.sub === sub || row.sub.startsWith(`${sub}/`);
};
const hasAbout = (what: string) => (row: Row) => row.about.includes(what);

let api: Awaited<ReturnType<typeof openTestApi>>;
let now = Date.now();
const shapes = new Map<string, Shape>();
/** What stands in a path for what. */
let parts: Readonly<Record<string, string>>;

const app = {
  appId: 'org.acme.Web',
  source: { repoUrl: 'https://github.com/acme/web' },
  build: { kind: 'bundle' },
  runtime: { command: ['node', 'server.mjs'] },
  environments: [
    { name: 'dev', branch: 'main', targets: [{ name: 'web' }] },
    { name: 'stable', parent: 'dev', targets: [{ name: 'web' }] },
  ],
};

async function prepare(): Promise<string> {
  for (const id of ['web', 'other']) {
    const body = id === 'web' ? app : { ...app, appId: undefined };
    expect((await api.request('PUT', `/api/v1/apps/${id}`, { body })).status).toBeLessThan(300);
  }
  const made = await api.request('POST', '/api/v1/deployments', {
    body: { app: 'web', environment: 'dev', source: {} },
  });
  return v.parse(v.object({ id: v.string() }), await made.json()).id;
}

/** A build by upload of the app, and another one that is being committed, by its job. */
async function prepareBuilds(): Promise<{ readonly build: string; readonly job: string }> {
  const post = async (path: string, body: object) => {
    const response = await api.request('POST', `/api/v1/build${path}`, { body });
    const { id } = v.parse(v.looseObject({ id: v.number() }), await response.json());
    return String(id);
  };
  const create = async () => await post('', { repo: 'dev', 'app-id': 'org.acme.Web' });
  const committed = await create();
  await post(`/${committed}/build_ref`, { ref: 'app/org.acme.Web/x86_64/main', commit: 'a'.repeat(64) });
  return { build: await create(), job: await post(`/${committed}/commit`, {}) };
}

/** As whoever has that key would make one by hand. */
function forged(header: object, key: Buffer, claims: object = {}): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const seconds = Math.floor(now / 1000);
  const all = { scope: scopes, prefixes: [''], apps: [], repos: [''], environments: [''], branches: [''] };
  const payload = {
    sub: '',
    exp: seconds + 60,
    iat: seconds,
    name: 'x',
    jti: 'unknown',
    parents: [],
    ...all,
    ...claims,
  };
  const text = `${part(header)}.${part(payload)}`;
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
}

async function prepareTokens(buildId: string): Promise<void> {
  const add = (name: string, token: string, isEnough: Shape['isEnough']) => shapes.set(name, { token, isEnough });
  const addWrong = (name: string, token: string) => shapes.set(name, { token, isEnough: () => false, refusedBy: 401 });
  const all = () => true;
  add('the admin token', adminToken, all);
  add('all', (await mint(api)).token, all);
  for (const scope of scopes) {
    const { token } = await mint(api, { scope: [scope] });
    add(`scope ${scope}`, token, (row) => row.scopes.includes('any') || row.scopes.includes(scope));
  }
  for (const sub of [
    'build',
    `build/${buildId}`,
    'build/70',
    'app',
    'app/web',
    'app/web/dev',
    'app/other',
    'app/web/stable',
  ]) {
    const { token } = await mint(api, { sub });
    add(`sub ${sub}`, token, (row) => subIs(sub)({ ...row, sub: row.sub.replace(':id', buildId) }));
  }
  const notAbout = (what: string) => (row: Row) => !hasAbout(what)(row);
  add('app web', (await mint(api, { apps: ['web'] })).token, all);
  add('prefix of its outside name', (await mint(api, { prefixes: ['org.acme'] })).token, all);
  add('its outside name', (await mint(api, { apps: ['org.acme.Web'] })).token, all);
  add('app other', (await mint(api, { apps: ['other'] })).token, notAbout('app'));
  add('prefix of others', (await mint(api, { prefixes: ['org.other', 'we', 'web.x'] })).token, notAbout('app'));
  add('repo dev', (await mint(api, { repos: ['dev'] })).token, notAbout('all'));
  add('environment dev', (await mint(api, { environments: ['dev'] })).token, notAbout('all'));
  const elsewhere = (row: Row) => !hasAbout('all')(row) && !hasAbout('dev')(row);
  add('repo stable', (await mint(api, { repos: ['stable'] })).token, elsewhere);
  add('environment stable', (await mint(api, { environments: ['stable'] })).token, elsewhere);

  addWrong('expired', (await mint(api, { duration: 1 })).token);
  now += 2000;
  const revoked = await mint(api);
  addWrong('revoked', revoked.token);
  const parent = await mint(api);
  const child = await mint(api, {}, parent.token);
  addWrong('minted from a revoked one', child.token);
  addWrong('minted from one minted from a revoked one', (await mint(api, {}, child.token)).token);
  const body = { token_ids: [revoked.id, parent.id] };
  expect((await api.request('POST', '/api/v1/tokens/revoke', { body })).status).toBe(204);
  const right = Buffer.from(hkdfSync('sha256', adminToken, '', 'sluice token v1', 32));
  addWrong('garbage', 'garbage');
  addWrong('alg none', forged({ alg: 'none' }, right).replace(/[^.]*$/, ''));
  addWrong('alg none with a signature', forged({ alg: 'none' }, right));
  addWrong('a wrong key', forged({ alg: 'HS256' }, Buffer.from('another')));
  addWrong('the admin token for a key', forged({ alg: 'HS256' }, Buffer.from(adminToken)));
  addWrong('one that nobody minted', forged({ alg: 'HS256' }, right));
}

beforeAll(async () => {
  // Each wrong token from an address of its own: there are many.
  api = await openTestApi({
    ports: { clock: () => now },
    addressOf: (c) => c.req.header('x-test-address') ?? 'here',
  });
  const deployment = await prepare();
  const { build, job } = await prepareBuilds();
  await prepareTokens(build);
  parts = { app: 'web', environment: 'dev', name: 'one', repo: 'dev', ref: '1', deployment, build, job };
});
afterAll(async () => {
  await api.close();
});

/** Harmless wherever the token is enough: what is asked for is wrong, or changes nothing that the next cell needs. */
function requestOf({ method, path }: Row): { readonly url: string; readonly body?: unknown } {
  const id = path.includes('/deployments/') ? 'deployment' : path.includes('/job/') ? 'job' : 'build';
  const url = path.replaceAll(/:(\w+)/g, (_, name: string) => parts[name === 'id' ? id : name] ?? 'any');
  if (method === 'GET') return { url };
  if (path === '/api/v1/deployments') return { url, body: { app: 'web', environment: 'dev', image: 'web:1' } };
  if (path === '/api/v1/build') return { url, body: { repo: 'dev', 'app-id': 'org.acme.Web' } };
  if (path === '/api/v1/prune') return { url, body: { repo: 'dev', app: 'web', 'dry-run': true } };
  if (path.endsWith('/build_ref'))
    return { url, body: { ref: 'app/org.acme.Web/x86_64/main', commit: 'a'.repeat(64) } };
  if (path.endsWith('/uploads')) return { url, body: { objects: [{ name: `${'a'.repeat(64)}.blob`, sizeBytes: 1 }] } };
  if (path.endsWith('/add_extra_ids')) return { url, body: { ids: ['org.acme.Web.Debug'] } };
  if (path.endsWith('/review')) return { url, body: { 'new-status': { status: 'Passed' } } };
  if (path.endsWith('/republish')) return { url, body: { app: 'org.acme.Web' } };
  // Refused for what it is, which is looked at after the token: an app that runs, an empty body.
  return { url, body: method === 'DELETE' ? undefined : {} };
}

const registered = () =>
  new Set(api.app.routes.filter(({ method }) => method !== 'ALL').map(({ method, path }) => `${method} ${path}`));
const nameOf = ({ method, path }: { readonly method: string; readonly path: string }) => `${method} ${path}`;
/** QUERY is what a GET with a body is here. */
const asGet = (route: string) => route.replace(/^QUERY /, 'GET ');

describe('the table of requirements', () => {
  it('has every route that there is, and no other', () => {
    const known = new Set(requirements.map(nameOf));
    const there = [...registered()].map(asGet);
    expect(there.filter((route) => !known.has(route))).toEqual([]);
    expect([...known].filter((route) => !there.includes(route))).toEqual([]);
  });

  it('says what the table by hand says, and nothing of any other route', () => {
    const byHand = [...rows.map(nameOf), ...openRoutes].sort();
    expect(requirements.map(nameOf).sort()).toEqual(byHand);
    for (const row of rows) {
      const found = requirements.find((requirement) => nameOf(requirement) === nameOf(row));
      const scope = typeof found?.scope === 'string' ? [found.scope] : found?.scope;
      expect([nameOf(row), scope]).toEqual([nameOf(row), row.scopes]);
    }
    const open = requirements.filter(({ scope }) => scope === 'open').map(nameOf);
    expect(open.sort()).toEqual([...openRoutes].sort());
  });
});

describe('the routes', () => {
  it('are each the only one that takes their requests: what is asked of a token is what is answered', () => {
    const parts = (path: string) => path.split('/');
    const isBoth = (one: string, other: string) => {
      const [left, right] = [parts(one), parts(other)];
      const fits = (part: string, at: number) =>
        part.startsWith(':') || right[at]?.startsWith(':') || part === right[at];
      return left.length === right.length && left.every(fits);
    };
    const routes = [...registered()].map((route) => route.split(' ', 2));
    const ambiguous = routes.flatMap(([method, path = ''], at) =>
      routes
        .slice(at + 1)
        .filter(([otherMethod, other = '']) => method === otherMethod && isBoth(path, other))
        .map(([, other]) => `${method} ${path} and ${other}`),
    );
    expect(ambiguous).toEqual([]);
  });
});

describe('every route with every kind of token', () => {
  it('is allowed just where the table says', async () => {
    const wrong: string[] = [];
    let cells = 0;
    for (const row of rows) {
      const { url, body } = requestOf(row);
      for (const [name, shape] of shapes) {
        const isEnough = shape.isEnough(row);
        // What would end what the next cells need is asked by those alone who may not.
        if (isEnough && (row.method === 'DELETE' || row.path.endsWith('/purge') || row.path.endsWith('/cancel')))
          continue;
        const response = await api.app.request(url, {
          method: row.method,
          headers: {
            authorization: `Bearer ${shape.token}`,
            'content-type': 'application/json',
            'x-test-address': `${nameOf(row)} ${name}`,
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        const isAllowed = response.status !== 401 && response.status !== 403;
        const status = isEnough ? 'allowed' : (shape.refusedBy ?? 403);
        const answered = isAllowed ? 'allowed' : response.status;
        if (answered !== status)
          wrong.push(
            `${nameOf(row)} with ${name}: ${response.status}, not ${status}: ${(await response.text()).slice(75, 250)}`,
          );
        cells += 1;
      }
    }
    expect(wrong).toEqual([]);
    expect(cells).toBeGreaterThan(900);
  }, 60_000);

  it('is refused with the words of flat-manager', async () => {
    const { token } = shapes.get('scope jobs') ?? { token: '' };
    const response = await api.request('GET', '/api/v1/apps', { headers: { authorization: `Bearer ${token}` } });
    expect([response.status, await response.json()]).toEqual([
      403,
      expect.objectContaining({
        status: 403,
        'error-type': 'token-insufficient',
        message: 'Not enough permissions: it has not the scope read',
      }),
    ]);
  });

  it('is allowed by a path that is none to nobody, and told so to everybody who has a token', async () => {
    const headers = { authorization: `Bearer ${shapes.get('scope jobs')?.token ?? ''}` };
    expect((await api.request('GET', '/api/v1/nowhere', { headers })).status).toBe(404);
    expect((await api.request('PATCH', '/api/v1/apps', { headers })).status).toBe(405);
    expect((await api.app.request('/api/v1/nowhere')).status).toBe(401);
  });
});
