import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appExample } from '../../functions/api/examples.ts';
import { auditListShape } from '../../functions/api/token-requests.ts';
import type { Records } from '../../functions/ports/records.ts';
import { silentLog, type LogFields } from '../../functions/runtime/log.ts';
import { adminToken, openTestApi } from '../support/api.ts';
import { bearer, mint } from '../support/tokens.ts';

let api: Awaited<ReturnType<typeof openTestApi>>;
let now: number;
/** In the future, as records vanish by the machine's clock. */
const start = 2_000_000_000_000;
beforeEach(async () => {
  now = start;
  api = await openTestApi({ ports: { clock: () => (now += 1000) }, addressOf: () => '192.0.2.7' });
});
afterEach(async () => {
  await api.close();
});

const entries = async (query = '', by = adminToken) => {
  const response = await api.request('GET', `/api/v1/audit${query}`, bearer(by));
  expect(response.status).toBe(200);
  return v.parse(auditListShape, await response.json());
};
const told = async (query = '', by = adminToken) =>
  (await entries(query, by)).items.map(({ action, result }) => `${action} ${result}`);
const put = async (id: string, by = adminToken, body: unknown = appExample) =>
  await api.request('PUT', `/api/v1/apps/${id}`, { body, ...bearer(by) });

describe('the audit log', () => {
  it('tells of a change: who, what, on what, from where, and how it ended', async () => {
    const response = await api.request('PUT', '/api/v1/apps/web?force=true', {
      body: appExample,
      headers: { 'x-request-id': 'r1' },
    });
    expect(response.status).toBe(201);
    expect((await entries()).items).toEqual([
      {
        id: expect.stringMatching(/^[\w-]{36}$/),
        at: expect.stringMatching(/^2033-05-18T03:33:\d\d\.000Z$/),
        actor: 'admin',
        token: null,
        action: 'applyApp',
        method: 'PUT',
        route: '/api/v1/apps/:app',
        path: '/api/v1/apps/web',
        app: 'web',
        environment: null,
        build: null,
        tokens: [],
        status: 201,
        result: 'done',
        address: '192.0.2.7',
        requestId: 'r1',
      },
    ]);
  });

  it('is written before the answer goes out, for whatever changes something, and for no reading', async () => {
    await put('web');
    await api.request('POST', '/api/v1/apps/web/deploy-key');
    await api.request('PUT', '/api/v1/apps/web/secrets/one', { body: { value: 'hunter2' } });
    const body = { app: 'web', environment: 'dev', image: 'web:1' };
    const made = await api.request('POST', '/api/v1/deployments', { body });
    const { id } = v.parse(v.object({ id: v.string() }), await made.json());
    for (const path of ['/apps', '/apps/web', '/deployments', `/deployments/${id}`, '/tokens', '/audit']) {
      expect((await api.request('GET', `/api/v1${path}`)).status).toBe(200);
    }
    await api.request('POST', '/api/v1/tokens/get_list', { body: { token_ids: [] } });
    await api.request('POST', `/api/v1/deployments/${id}/cancel`);
    await api.request('PUT', '/api/v1/apps/web/environments/dev/scale', { body: { target: 'web', desiredCount: 1 } });
    await api.request('DELETE', '/api/v1/apps/web');
    const { items } = await entries();
    expect(items.map(({ action, status }) => `${action} ${status}`)).toEqual([
      'deleteApp 204',
      'scale 202',
      'cancelDeployment 202',
      'deploy 202',
      'writeSecret 204',
      'makeDeployKey 201',
      'applyApp 201',
    ]);
    const places = items.slice(1, 4).map(({ app, environment, path }) => ({ app, environment, path }));
    expect(places).toEqual([
      { app: 'web', environment: 'dev', path: '/api/v1/apps/web/environments/dev/scale' },
      { app: 'web', environment: 'dev', path: `/api/v1/deployments/${id}/cancel` },
      { app: 'web', environment: 'dev', path: '/api/v1/deployments' },
    ]);
  });

  it('tells of what a token was not enough for, reading included, and of nobody without a token', async () => {
    const { token, id } = await mint(api, { name: 'ci', scope: ['jobs'] });
    expect((await api.request('GET', '/api/v1/apps/web', bearer(token))).status).toBe(403);
    expect((await put('web', token)).status).toBe(403);
    expect((await put('web', 'garbage')).status).toBe(401);
    const [second, first] = (await entries('?result=refused')).items;
    expect(first).toMatchObject({
      action: 'getApp',
      actor: 'admin/ci',
      token: id,
      app: 'web',
      status: 403,
      path: null,
    });
    expect(second).toMatchObject({ action: 'applyApp', actor: 'admin/ci', token: id, status: 403, result: 'refused' });
    expect((await entries('?result=refused')).items).toHaveLength(2);
  });

  it('tells of what was wrong, and holds nothing of what the caller made up', async () => {
    await put('hunter2_is_no_name');
    await put('web', adminToken, { password: 'hunter2' });
    await api.request('PUT', '/api/v1/apps/web/secrets/one?value=hunter2', { body: { value: 'hunter2' } });
    const { items } = await entries();
    expect(items.map(({ action, status, result, app }) => [action, status, result, app])).toEqual([
      ['writeSecret', 400, 'rejected', 'web'],
      ['applyApp', 400, 'rejected', 'web'],
      ['applyApp', 400, 'rejected', null],
    ]);
    expect(JSON.stringify(items)).not.toContain('hunter2');
  });

  it('names the tokens that were minted and revoked, and no value', async () => {
    const { id, token } = await mint(api);
    await api.request('POST', '/api/v1/tokens/revoke', { body: { token_ids: [id, 'unknown'] } });
    const { items } = await entries();
    expect(items.map(({ action, tokens }) => [action, tokens])).toEqual([
      ['revokeTokens', [id]],
      ['mintToken', [id]],
    ]);
    expect(JSON.stringify(items)).not.toContain(token.slice(-40));
  });

  it('tells of builds by their numbers', async () => {
    await put('web');
    const made = await api.request('POST', '/api/v1/build', { body: { repo: 'dev', 'app-id': 'web' } });
    const { id } = v.parse(v.looseObject({ id: v.number() }), await made.json());
    await api.request('POST', `/api/v1/build/${id}/purge`, { body: {} });
    const [purged] = (await entries('?app=web')).items;
    expect(purged).toMatchObject({ action: 'purgeBuild', app: 'web', environment: 'dev', build: String(id) });
  });
});

describe('a query of the audit log', () => {
  const at = async (position: number) => (await entries()).items[position]?.at ?? '';
  beforeEach(async () => {
    await put('web');
    await put('other', adminToken, { environments: [{ name: 'dev', targets: [{ name: 'web' }] }] });
    const { token } = await mint(api, { name: 'ci', scope: ['read'] });
    await put('web', token);
  });

  it('takes an app, an actor, an action and a result', async () => {
    expect(await told()).toEqual(['applyApp refused', 'mintToken done', 'applyApp done', 'applyApp done']);
    expect(await told('?app=web')).toEqual(['applyApp refused', 'applyApp done']);
    expect(await told('?actor=admin/ci')).toEqual(['applyApp refused']);
    expect(await told('?action=mintToken')).toEqual(['mintToken done']);
    expect(await told('?result=done&app=other')).toEqual(['applyApp done']);
    expect(await told('?app=nothing')).toEqual([]);
    expect((await api.request('GET', '/api/v1/audit?result=maybe')).status).toBe(400);
    expect((await api.request('GET', '/api/v1/audit?after=yesterday')).status).toBe(400);
  });

  it('takes a time', async () => {
    const middle = encodeURIComponent(await at(1));
    expect(await told(`?after=${middle}`)).toEqual(['applyApp refused', 'mintToken done']);
    expect(await told(`?before=${middle}`)).toEqual(['applyApp done', 'applyApp done']);
  });

  it('comes page by page', async () => {
    const first = await entries('?limit=3');
    const rest = await entries(`?limit=3&cursor=${encodeURIComponent(first.next ?? '')}`);
    expect([first.items.length, rest.items.length, rest.next]).toEqual([3, 1, null]);
  });

  it('shows a token what was done to the apps that it allows', async () => {
    const { token } = await mint(api, { scope: ['audit'], apps: ['other'] });
    const { items } = await entries('', token);
    expect(items.map(({ app, action }) => [app, action])).toEqual([['other', 'applyApp']]);
  });
});

describe('an entry that cannot be written', () => {
  it('goes to the log as a whole, and the answer is given all the same', async () => {
    const lines: (readonly [string, LogFields])[] = [];
    const { records } = api.ports;
    const log = {
      ...silentLog,
      error: (message: string, fields: LogFields = {}) => void lines.push([message, fields]),
    };
    const broken: Records = {
      ...records,
      create: async (key, ...rest) => {
        if (key.partition.startsWith('audit-entry/')) throw new Error('the table is gone');
        return await records.create(key, ...rest);
      },
    };
    const other = await openTestApi({ ports: { records: broken, log: { ...log, with: () => log } } });
    const response = await other.request('PUT', '/api/v1/apps/web', { body: appExample });
    expect(response.status).toBe(201);
    expect(lines).toEqual([
      [
        'an audit entry was not written',
        {
          reason: 'the table is gone',
          entry: expect.objectContaining({ actor: 'admin', action: 'applyApp', app: 'web', status: 201 }),
        },
      ],
    ]);
    await other.close();
  });
});
