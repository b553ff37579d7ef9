import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appExample } from '../../functions/api/examples.ts';
import { appListShape, appShape, problemShape } from '../../functions/api/shapes.ts';
import { openTestApi } from '../support/api.ts';

let api: Awaited<ReturnType<typeof openTestApi>>;
beforeEach(async () => {
  api = await openTestApi();
});
afterEach(async () => {
  await api.close();
});

const small = { environments: [{ name: 'dev', targets: [{ name: 'web' }] }] };

describe('apps', () => {
  it('are registered with 201 and changed with 200', async () => {
    const created = await api.request('PUT', '/api/v1/apps/web', { body: appExample });
    expect(created.status).toBe(201);
    const view = v.parse(appShape, await created.json());
    expect(view).toMatchObject({ id: 'web', source: { repoUrl: 'git@github.com:acme/web.git' } });
    const changed = await api.request('PUT', '/api/v1/apps/web', { body: { ...appExample, runtime: { port: 4000 } } });
    expect(changed.status).toBe(200);
    const shown = await (await api.request('GET', '/api/v1/apps/web')).json();
    expect(shown).toMatchObject({ id: 'web', runtime: { port: 4000 }, createdAt: view.createdAt });
  });

  it('come back as they can be applied again', async () => {
    await api.request('PUT', '/api/v1/apps/web', { body: appExample });
    const { id, createdAt, updatedAt, ...app } = v.parse(
      appShape,
      await (await api.request('GET', '/api/v1/apps/web')).json(),
    );
    expect([id, createdAt]).toEqual(['web', updatedAt]);
    const again = await api.request('PUT', '/api/v1/apps/web', { body: app });
    expect([again.status, v.parse(appShape, await again.json()).updatedAt]).toEqual([200, updatedAt]);
  });

  it('are listed page by page', async () => {
    for (const id of ['alpha', 'beta', 'gamma']) await api.request('PUT', `/api/v1/apps/${id}`, { body: small });
    const first = v.parse(appListShape, await (await api.request('GET', '/api/v1/apps?limit=2')).json());
    expect(first.items.map(({ id }) => id)).toEqual(['alpha', 'beta']);
    const next = encodeURIComponent(first.next ?? '');
    const last = v.parse(appListShape, await (await api.request('GET', `/api/v1/apps?limit=2&cursor=${next}`)).json());
    expect([last.items.map(({ id }) => id), last.next]).toEqual([['gamma'], null]);
  });

  it('that are wrong are refused with every wrong field, and no value', async () => {
    const body = { ...small, runtime: { port: 'hunter2', env: { TOKEN: 42 } }, colour: 'hunter2' };
    const response = await api.request('PUT', '/api/v1/apps/web', { body });
    const problem = v.parse(problemShape, await response.json());
    expect([response.status, problem['error-type']]).toEqual([400, 'invalid-input']);
    expect(problem.issues?.map(({ field }) => field).sort()).toEqual(['colour', 'runtime.env.TOKEN', 'runtime.port']);
    expect(JSON.stringify(problem)).not.toContain('hunter2');
  });

  it('are deleted, and unknown ones are not found', async () => {
    await api.request('PUT', '/api/v1/apps/web', { body: small });
    expect((await api.request('DELETE', '/api/v1/apps/web')).status).toBe(204);
    for (const method of ['GET', 'DELETE']) {
      const response = await api.request(method, '/api/v1/apps/web');
      expect([response.status, v.parse(problemShape, await response.json()).title]).toEqual([404, 'Not found']);
    }
  });

  it('of which something runs are deleted by force only', async () => {
    await api.request('PUT', '/api/v1/apps/web', { body: small });
    const task = { id: 't1', revisionId: 'r1', state: 'serving', startedAt: 1, inFlight: 0 } as const;
    api.views.set('web', { revision: undefined, desiredCount: 1, tasks: [task], failures: 0, lastFailure: undefined });
    expect((await api.request('DELETE', '/api/v1/apps/web')).status).toBe(409);
    expect((await api.request('DELETE', '/api/v1/apps/web?force=true')).status).toBe(204);
    expect(api.views.has('web')).toBe(false);
  });

  it('get a deploy key whose private half never comes out', async () => {
    await api.request('PUT', '/api/v1/apps/web', { body: small });
    const response = await api.request('POST', '/api/v1/apps/web/deploy-key');
    expect(response.status).toBe(201);
    const text = await response.text();
    expect(text).toMatch(/^\{"publicKey":"ssh-ed25519 [^"]+"\}$/);
    const { value } = await api.ports.secrets.read('apps/web/deploy-key');
    expect(value).toContain('OPENSSH PRIVATE KEY');
  });

  it('take secrets in and tell their names only', async () => {
    await api.request('PUT', '/api/v1/apps/web', { body: small });
    const path = '/api/v1/apps/web/secrets/database-url';
    expect((await api.request('PUT', path, { body: { value: 'postgres://secret' } })).status).toBe(204);
    const names = await (await api.request('GET', '/api/v1/apps/web/secrets')).text();
    expect(JSON.parse(names)).toEqual({ items: [{ name: 'database-url' }] });
    expect((await api.request('GET', path)).status).toBe(405);
    expect((await api.request('DELETE', path)).status).toBe(204);
    expect(await (await api.request('GET', '/api/v1/apps/web/secrets')).json()).toEqual({ items: [] });
  });

  it('refuse a secret in the wrong field without repeating it', async () => {
    await api.request('PUT', '/api/v1/apps/web', { body: small });
    for (const body of [{ secret: 'hunter2' }, 'hunter2', ['hunter2'], { value: { inner: 'hunter2' } }]) {
      const response = await api.request('PUT', '/api/v1/apps/web/secrets/name', { body });
      expect([response.status, (await response.text()).includes('hunter2')]).toEqual([400, false]);
    }
  });
});
