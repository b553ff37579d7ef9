import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appExample } from '../../functions/api/examples.ts';
import { deploymentListShape, deploymentShape, eventsShape, problemShape } from '../../functions/api/shapes.ts';
import { advance } from '../../functions/deployments/store.ts';
import { openTestApi } from '../support/api.ts';

let api: Awaited<ReturnType<typeof openTestApi>>;
let closing: AbortController;
beforeEach(async () => {
  closing = new AbortController();
  api = await openTestApi({ closing: closing.signal });
  await api.request('PUT', '/api/v1/apps/web', { body: appExample });
});
afterEach(async () => {
  await api.close();
});

const place = { app: 'web', environment: 'dev' };
async function deploy(what: object) {
  const response = await api.request('POST', '/api/v1/deployments', { body: { ...place, ...what } });
  expect(response.status).toBe(202);
  return { response, deployment: v.parse(deploymentShape, await response.json()) };
}
async function refusal(body: unknown) {
  const response = await api.request('POST', '/api/v1/deployments', { body });
  return { status: response.status, problem: v.parse(problemShape, await response.json()) };
}
const eventsOf = async (id: string, query: string) =>
  v.parse(eventsShape, await (await api.request('GET', `/api/v1/deployments/${id}/events${query}`)).json());

describe('a deployment', () => {
  it('is accepted with 202 and told where to follow it', async () => {
    const { response, deployment } = await deploy({ source: { ref: 'v1.2' } });
    expect(response.headers.get('location')).toBe(`/api/v1/deployments/${deployment.id}`);
    expect(deployment).toMatchObject({
      ...place,
      trigger: { kind: 'api', actor: 'admin' },
      request: { kind: 'source', ref: 'v1.2' },
      endedAt: null,
    });
    expect(api.started).toEqual([deployment.id]);
    const shown = await api.request('GET', `/api/v1/deployments/${deployment.id}`);
    expect(await shown.json()).toEqual(deployment);
  });

  const sha = 'a'.repeat(40);
  it.each([
    [{ source: {} }, { kind: 'source', ref: 'main' }],
    [{ source: { ref: sha } }, { kind: 'source', ref: sha, commit: sha }],
    [{ image: 'ghcr.io/acme/web:1' }, { kind: 'image', reference: 'ghcr.io/acme/web:1' }],
    [{ artifact: `sha256:${'b'.repeat(64)}` }, { kind: 'artifact', digest: `sha256:${'b'.repeat(64)}` }],
    [
      { fetch: { url: 'https://example.com/a.tgz', sha256: 'C'.repeat(64) } },
      { kind: 'fetch', url: 'https://example.com/a.tgz', sha256: 'c'.repeat(64) },
    ],
  ])('asked for as %j is understood', async (what, request) => {
    expect((await deploy(what)).deployment.request).toEqual(request);
  });

  it.each([
    [{}, '(whole)'],
    [{ source: {}, image: 'web' }, '(whole)'],
    [{ source: { ref: '--upload-pack=evil' } }, 'source.ref'],
    [{ source: { branch: 'main' } }, 'source.branch'],
    [{ image: '--privileged' }, 'image'],
    [{ artifact: 'sha256:abc' }, 'artifact'],
    [{ fetch: { url: 'file:///etc/passwd', sha256: 'c'.repeat(64) } }, 'fetch.url'],
    [{ fetch: { url: 'https://user:hunter2@example.com/', sha256: 'c'.repeat(64) } }, 'fetch.url'],
    [{ fetch: { url: 'https://example.com/' } }, 'fetch.sha256'],
  ])('asked for as %j is refused, naming %s', async (what, field) => {
    const { status, problem } = await refusal({ ...place, ...what });
    expect(status).toBe(400);
    expect(problem.issues?.map((issue) => issue.field)).toEqual([field]);
    expect(JSON.stringify(problem)).not.toContain('hunter2');
  });

  it('of an unknown app or environment is not found', async () => {
    expect((await refusal({ ...place, app: 'nope', source: {} })).status).toBe(404);
    const { status, problem } = await refusal({ ...place, environment: 'nope', source: {} });
    expect([status, problem.detail.includes('dev')]).toEqual([404, true]);
    expect((await api.request('GET', '/api/v1/deployments/nope')).status).toBe(404);
  });

  it('is cancelled with 202, however often it is asked for', async () => {
    await deploy({ image: 'web:1' });
    const { deployment } = await deploy({ image: 'web:2' });
    const cancelled = await api.request('POST', `/api/v1/deployments/${deployment.id}/cancel`);
    expect([cancelled.status, v.parse(deploymentShape, await cancelled.json()).status]).toEqual([202, 'cancelled']);
    expect((await api.request('POST', `/api/v1/deployments/${deployment.id}/cancel`)).status).toBe(202);
  });

  it('that has ended otherwise is not cancelled any more', async () => {
    await deploy({ image: 'web:1' });
    const { deployment } = await deploy({ image: 'web:2' });
    await deploy({ image: 'web:3' });
    expect((await api.request('POST', `/api/v1/deployments/${deployment.id}/cancel`)).status).toBe(409);
  });

  it('stands in lists, newest first, by app, environment and status', async () => {
    for (const image of ['web:1', 'web:2', 'web:3']) await deploy({ image });
    const list = async (query: string) =>
      v.parse(deploymentListShape, await (await api.request('GET', `/api/v1/deployments${query}`)).json());
    const all = await list('');
    expect(all.items.map(({ request }) => request['reference'])).toEqual(['web:3', 'web:2', 'web:1']);
    expect(all.items[0]).not.toHaveProperty('timeline');
    const first = await list('?app=web&environment=dev&limit=2');
    expect(first.items).toHaveLength(2);
    const rest = await list(`?app=web&environment=dev&cursor=${encodeURIComponent(first.next ?? '')}`);
    expect(rest.items.map(({ id }) => id)).toEqual([all.items[2]?.id]);
    expect((await list('?status=superseded')).items.map(({ request }) => request['reference'])).toEqual(['web:2']);
    expect((await list('?app=other')).items).toEqual([]);
  });

  it.each(['limit=0', 'limit=201', 'limit=x', 'limit=1&limit=2', 'status=lost', 'enviroment=dev', 'cursor=%00'])(
    'is not listed by a wrong query: %s',
    async (query) => {
      expect((await api.request('GET', `/api/v1/deployments?${query}`)).status).toBe(400);
    },
  );
});

describe('the events of a deployment', () => {
  it('come after the cursor, each once', async () => {
    const { deployment } = await deploy({ image: 'web:1' });
    const first = await eventsOf(deployment.id, '');
    expect(first).toMatchObject({ items: [{ seq: 1, kind: 'queued' }], next: '1', done: false });
    expect(await eventsOf(deployment.id, '?after=1')).toEqual({ items: [], next: '1', done: false });
  });

  it('are waited for, and answered as soon as there is one', async () => {
    const { deployment } = await deploy({ image: 'web:1' });
    const waiting = eventsOf(deployment.id, '?after=1&wait=20');
    const { records, clock } = api.ports;
    await advance(records, { id: deployment.id, at: clock(), event: { kind: 'roll' }, text: 'Rolling out' });
    expect(await waiting).toMatchObject({ items: [{ seq: 2, kind: 'rolling' }], next: '2', done: false });
  });

  it('are done with the end of the deployment', async () => {
    await deploy({ image: 'web:1' });
    const { deployment } = await deploy({ image: 'web:2' });
    await api.request('POST', `/api/v1/deployments/${deployment.id}/cancel`);
    const { next, done } = await eventsOf(deployment.id, '');
    expect(done).toBe(true);
    expect(await eventsOf(deployment.id, `?after=${next}&wait=20`)).toEqual({ items: [], next, done: true });
  });

  it('are answered at once when the server closes', async () => {
    const { deployment } = await deploy({ image: 'web:1' });
    const waiting = eventsOf(deployment.id, '?after=1&wait=20');
    closing.abort();
    expect(await waiting).toEqual({ items: [], next: '1', done: false });
  });

  it.each(['?after=-1', '?after=x', '?wait=21', '?wait=x', '?since=1'])('refuse the query %s', async (query) => {
    const { deployment } = await deploy({ image: 'web:1' });
    expect((await api.request('GET', `/api/v1/deployments/${deployment.id}/events${query}`)).status).toBe(400);
  });
});
