import { randomBytes } from 'node:crypto';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { createApi } from '../../functions/api/app.ts';
import { readinessOf } from '../../functions/api/readiness.ts';
import { healthShape, readyShape } from '../../functions/api/shapes.ts';
import { silentLog } from '../../functions/runtime/log.ts';
import { adminToken, credentials, openTestApi } from '../support/api.ts';

const fine = { ready: async () => {} };
const all = { records: fine, objects: fine, secrets: fine, builder: fine, fleet: fine, workflow: fine };
const never = () => new Promise<never>(() => {});

describe('readiness', () => {
  it('names every dependency', async () => {
    const api = await openTestApi();
    const response = await api.app.request('/ready');
    expect([response.status, await response.json()]).toEqual([
      200,
      {
        status: 'ok',
        checks: { records: 'ok', objects: 'ok', secrets: 'ok', builder: 'ok', fleet: 'ok', workflow: 'ok' },
      },
    ]);
    await api.close();
  });

  it('fails with 503 when one does, without saying why to strangers', async () => {
    const api = await openTestApi();
    const builder = { ...api.ports.builder, ready: () => Promise.reject(new Error('hunter2 at /var/run/docker.sock')) };
    const failing = await openTestApi({ ports: { builder } });
    const response = await failing.app.request('/ready');
    const text = await response.text();
    expect(response.status).toBe(503);
    expect(v.parse(readyShape, JSON.parse(text))).toMatchObject({
      status: 'failing',
      checks: { builder: 'failed', fleet: 'ok' },
    });
    expect(text).not.toContain('hunter2');
    await Promise.all([api.close(), failing.close()]);
  });

  it('waits for none for longer than its time, and asks one that hangs only once', async () => {
    let asked = 0;
    const fleet = { ready: () => ((asked += 1), never()) };
    const ready = readinessOf({ ...all, fleet }, { log: silentLog, timeoutMs: 20 });
    for (let probe = 0; probe < 3; probe += 1) {
      expect(await ready()).toMatchObject({ status: 'failing', checks: { fleet: 'timed out', records: 'ok' } });
    }
    expect(asked).toBe(1);
  });

  it('asks again once there was an answer', async () => {
    let isUp = false;
    const records = { ready: async () => (isUp ? undefined : Promise.reject(new Error('down'))) };
    const ready = readinessOf({ ...all, records }, { log: silentLog });
    expect((await ready()).checks.records).toBe('failed');
    isUp = true;
    expect((await ready()).checks.records).toBe('ok');
  });
});

describe('health', () => {
  it('is told with the version, whatever becomes of the dependencies', async () => {
    const api = await openTestApi({ version: '1.2.3' });
    const response = await api.app.request('/health');
    expect(v.parse(healthShape, await response.json())).toEqual({ status: 'ok', version: '1.2.3' });
    await api.close();
  });
});

describe('the metrics', () => {
  it('count requests by the pattern of their route', async () => {
    const api = await openTestApi();
    for (const app of ['one', 'two', 'three']) await api.request('GET', `/api/v1/apps/${app}`);
    for (const path of ['/x1', '/x2']) await api.request('GET', path);
    const response = await api.request('GET', '/metrics');
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const text = await response.text();
    const count = 'sluice_http_request_duration_seconds_count';
    expect(text).toContain(`${count}{method="GET",route="/api/v1/apps/:app",status="404"} 3`);
    expect(text).toContain(`${count}{method="GET",route="none",status="404"} 2`);
    await api.close();
  });

  it('are no path where there is nothing to scrape', async () => {
    const api = await openTestApi();
    const { scrape: _, ...metrics } = api.metrics;
    const { ports } = api;
    const unscraped = createApi({ ports, metrics, credentials: async () => credentials, version: '0', randomBytes });
    const headers = { authorization: `Bearer ${adminToken}` };
    expect((await unscraped.request('/metrics', { headers })).status).toBe(404);
    await api.close();
  });

  it('tell what stands: open deployments and the tasks of every target', async () => {
    const api = await openTestApi();
    const app = { environments: [{ name: 'dev', targets: [{ name: 'web' }] }] };
    await api.request('PUT', '/api/v1/apps/shop', { body: app });
    await api.request('POST', '/api/v1/deployments', { body: { app: 'shop', environment: 'dev', image: 'shop:1' } });
    const task = { id: 't1', revisionId: 'r1', state: 'serving', startedAt: 1, inFlight: 0 } as const;
    api.views.set('web', { revision: undefined, desiredCount: 1, tasks: [task], failures: 0, lastFailure: undefined });
    const text = await (await api.request('GET', '/metrics')).text();
    expect(text).toContain('sluice_deployments_open{status="queued"} 1');
    expect(text).toContain('sluice_tasks{app="shop",environment="dev",target="web",state="serving"} 1');
    expect(text).toContain('sluice_tasks{app="shop",environment="dev",target="web",state="failed"} 0');
    expect(text).toContain('sluice_standing_up 1');
    await api.close();
  });
});
