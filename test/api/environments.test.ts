import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deploymentShape, environmentShape, logShape, problemShape } from '../../functions/api/shapes.ts';
import { createBuild, endBuild } from '../../functions/builds/store.ts';
import { openTestApi } from '../support/api.ts';

let api: Awaited<ReturnType<typeof openTestApi>>;
beforeEach(async () => {
  api = await openTestApi();
  const app = { environments: [{ name: 'dev', targets: [{ name: 'web', listenPort: 9001, desiredCount: 2 }] }] };
  await api.request('PUT', '/api/v1/apps/web', { body: app });
});
afterEach(async () => {
  await api.close();
});
const dev = '/api/v1/apps/web/environments/dev';

describe('an environment', () => {
  it('is shown with what runs there, and its lane', async () => {
    const made = await api.request('POST', '/api/v1/deployments', {
      body: { app: 'web', environment: 'dev', image: 'web:1' },
    });
    const { id } = v.parse(deploymentShape, await made.json());
    const response = await api.request('GET', dev);
    expect(v.parse(environmentShape, await response.json())).toMatchObject({
      app: 'web',
      environment: 'dev',
      current: null,
      targets: [{ name: 'web', revision: null, runningCount: 0, listenPort: 9001, tasks: [] }],
      lane: { active: id, queued: [] },
    });
  });

  it('that is not there is not found, and the answer names those that are', async () => {
    const response = await api.request('GET', '/api/v1/apps/web/environments/beta');
    const problem = v.parse(problemShape, await response.json());
    expect([response.status, problem.detail.includes('dev')]).toEqual([404, true]);
  });

  it('has nothing to go back to before two deployments have succeeded', async () => {
    expect((await api.request('POST', `${dev}/rollback`)).status).toBe(409);
    expect((await api.request('POST', `${dev}/rollback`, { body: { to: 'unknown' } })).status).toBe(409);
    expect((await api.request('POST', `${dev}/rollback`, { body: { until: 'x' } })).status).toBe(400);
  });

  it('scales its targets', async () => {
    const response = await api.request('PUT', `${dev}/scale`, { body: { target: 'web', desiredCount: 3 } });
    expect(response.status).toBe(202);
    expect(await response.json()).toEqual({ app: 'web', environment: 'dev', target: 'web', desiredCount: 3 });
    expect(api.scaled.get('web')).toBe(3);
    expect((await api.request('PUT', `${dev}/scale`, { body: { target: 'web', desiredCount: -1 } })).status).toBe(400);
    expect((await api.request('PUT', `${dev}/scale`, { body: { target: 'db', desiredCount: 1 } })).status).toBe(404);
  });

  it('lets the output of its tasks be followed', async () => {
    const line = { at: 1_700_000_000_000, phase: 'task-1', text: 'listening' };
    api.targetLogs.set('web', { lines: [line], next: '1', done: false });
    const read = async (query: string) =>
      v.parse(logShape, await (await api.request('GET', `${dev}/logs${query}`)).json());
    expect(await read('?target=web')).toEqual({
      lines: [{ at: '2023-11-14T22:13:20.000Z', phase: 'task-1', text: 'listening' }],
      next: '1',
      done: false,
    });
    const waiting = read('?target=web&after=1&wait=20');
    api.targetLogs.set('web', { lines: [line, { ...line, text: 'served' }], next: '2', done: false });
    expect((await waiting).lines.map(({ text }) => text)).toEqual(['served']);
    expect((await api.request('GET', `${dev}/logs`)).status).toBe(400);
    expect((await api.request('GET', `${dev}/logs?target=db`)).status).toBe(404);
    expect((await api.request('GET', `${dev}/logs?target=web&after=x`)).status).toBe(400);
  });
});

describe('the log of a build', () => {
  const read = async (query = '') =>
    v.parse(logShape, await (await api.request('GET', `/api/v1/build/b1/logs${query}`)).json());
  const build = {
    id: 'b1',
    app: 'web',
    deploymentId: 'd1',
    kind: 'bundle',
    createdAt: 1,
    state: { status: 'open' },
  } as const;
  const line = { at: 1_700_000_000_000, phase: 'build', text: 'compiling' };

  it('is followed while it grows, and read to its end afterwards', async () => {
    await createBuild(api.ports.records, build);
    const waiting = read('?wait=20');
    api.buildLogs.set('b1', { lines: [line], next: '1', done: false });
    expect(await waiting).toMatchObject({ lines: [{ phase: 'build', text: 'compiling' }], next: '1', done: false });
    api.buildLogs.set('b1', { lines: [line], next: '1', done: true });
    await endBuild(api.ports.records, 'b1', { status: 'failed', endedAt: 2, reason: 'It exited with 1' });
    expect(await read('?after=1&wait=20')).toEqual({ lines: [], next: '1', done: true });
  });

  it('is not done while the build waits for its turn, though the builder knows nothing of it', async () => {
    await createBuild(api.ports.records, build);
    expect(await read()).toEqual({ lines: [], next: '0', done: false });
  });

  it('of an unknown build is not found', async () => {
    expect((await api.request('GET', '/api/v1/build/b2/logs')).status).toBe(404);
  });
});
