import { createHmac } from 'node:crypto';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deliveryShape, problemShape } from '../../functions/api/shapes.ts';
import { openTestApi, webhookSecret } from '../support/api.ts';
import { pushOf } from '../support/github-push.ts';

let api: Awaited<ReturnType<typeof openTestApi>>;
beforeEach(async () => {
  api = await openTestApi();
  const app = {
    source: { repoUrl: 'https://github.com/acme/web' },
    build: { kind: 'bundle' },
    runtime: { command: ['node', 'server.mjs'] },
    environments: [{ name: 'dev', branch: 'main', targets: [{ name: 'web' }] }],
  };
  await api.request('PUT', '/api/v1/apps/web', { body: app });
});
afterEach(async () => {
  await api.close();
});

const push = JSON.stringify(pushOf('a'.repeat(40), 1_700_000_000));

function deliver(body: string, options: { event?: string; id?: string; secret?: string } = {}) {
  const signature = createHmac('sha256', options.secret ?? webhookSecret)
    .update(body)
    .digest('hex');
  return api.app.request('/webhooks/github', {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/json',
      'x-github-event': options.event ?? 'push',
      'x-github-delivery': options.id ?? 'd1',
      'x-hub-signature-256': `sha256=${signature}`,
    },
  });
}
const outcomes = async () => {
  const lines = (await api.metrics.scrape()).text.matchAll(
    /^sluice_webhook_deliveries_total\{outcome="(\w+)"\} (\d+)$/gm,
  );
  return Object.fromEntries([...lines].map(([, outcome, count]) => [outcome, Number(count)]));
};

describe('a delivery', () => {
  it('of a push begins its deployments, once, however often it comes', async () => {
    const first = await deliver(push);
    const { deployments } = v.parse(deliveryShape, await first.json());
    expect([first.status, deployments]).toEqual([202, [{ id: api.started[0], app: 'web', environment: 'dev' }]]);
    const again = await deliver(push);
    expect([again.status, v.parse(deliveryShape, await again.json()).deployments]).toEqual([200, deployments]);
    expect(api.started).toHaveLength(1);
    expect(await outcomes()).toEqual({ accepted: 1, repeated: 1 });
  });

  it('that concerns nobody is answered 200', async () => {
    const other = await deliver(push.replace('refs/heads/main', 'refs/heads/other'));
    expect([other.status, v.parse(deliveryShape, await other.json()).deployments]).toEqual([200, []]);
    expect((await deliver('{}', { event: 'ping' })).status).toBe(200);
    expect(await outcomes()).toEqual({ ignored: 2 });
  });

  it('with a wrong signature is answered 401 before anything of it is read', async () => {
    const response = await deliver('no JSON at all', { secret: 'another secret than ours' });
    expect([response.status, v.parse(problemShape, await response.json())['error-type']]).toEqual([
      401,
      'invalid-token',
    ]);
    expect(await outcomes()).toEqual({ refused: 1 });
  });

  it('over 25 MB is answered 413', async () => {
    expect((await deliver('a'.repeat(25 * 1024 * 1024 + 1))).status).toBe(413);
  });

  it('that cannot be kept is answered 500, so that it is sent again', async () => {
    const broken = { ...api.ports.workflow, start: () => Promise.reject(new Error('no workflow')) };
    const failing = await openTestApi({ ports: { records: api.ports.records, workflow: broken } });
    const before = api;
    api = failing;
    expect((await deliver(push)).status).toBe(500);
    expect(await outcomes()).toEqual({ failed: 1 });
    await failing.close();
    api = before;
  });
});
