import { createHmac, timingSafeEqual } from 'node:crypto';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { v7 } from 'uuid';
import { parseApp } from '../../functions/apps/parse.ts';
import { emptyLane, type Lane } from '../../functions/deployments/lane.ts';
import { newDeployment } from '../../functions/deployments/request.ts';
import { advance, createDeployment } from '../../functions/deployments/store.ts';
import { openRecords } from '../../local/records.ts';

/**
 * What the webhook is measured against, as a process of its own: a bare hono route that checks the same HMAC, parses
 * the body and makes the same writes to the same kind of store, each with the condition it has there: the new
 * deployment, its lane, and the end of the deployment that it supersedes. It looks up no app, decides nothing, checks
 * no field, and logs, counts and limits nothing.
 */
const secret = process.env['BENCH_SECRET'] ?? '';
const { records } = await openRecords({ folder: process.env['BENCH_FOLDER'] ?? '' });
const settings = parseApp(JSON.parse(process.env['BENCH_APP'] ?? ''), {
  source: { allowFile: false, ownRemote: undefined },
});
const record = { id: 'bench', app: settings, createdAt: 0, updatedAt: 0 };
const waiting = new Map<string, string>();

const app = new Hono();
app.post('/webhooks/github', async (c) => {
  const raw = Buffer.from(await c.req.arrayBuffer());
  const expected = Buffer.from(`sha256=${createHmac('sha256', secret).update(raw).digest('hex')}`);
  const given = Buffer.from(c.req.header('x-hub-signature-256') ?? '');
  if (expected.length !== given.length || !timingSafeEqual(expected, given))
    return c.json({ message: 'bad signature' }, 401);
  const push = JSON.parse(raw.toString()) as { ref: string; after: string; repository: { full_name: string } };
  const id = v7();
  const name = push.repository.full_name;
  await createDeployment(records, deploymentOf(id, push));
  await enterLane(`lane/${name}`, id);
  const older = waiting.get(name);
  waiting.set(name, id);
  if (older) await supersede(older);
  return c.json({ deployments: [{ id }] }, 202);
});
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => {
  process.stdout.write(`ready on http://127.0.0.1:${port}\n`);
});

function deploymentOf(id: string, push: { ref: string; after: string }) {
  return newDeployment({
    id,
    at: Date.now(),
    record,
    app: 'bench',
    environment: 'dev',
    request: { kind: 'source', ref: push.ref, commit: push.after },
    trigger: { kind: 'push', deliveryId: id, ref: push.ref, pusher: 'bench' },
  });
}

async function enterLane(partition: string, holder: string): Promise<void> {
  const key = { partition, sort: 'lane' };
  const stored = await records.find<Lane>(key);
  const lane = { ...emptyLane, queue: [{ holder, at: Date.now(), supersedes: true }] };
  await (stored ? records.replace(stored, lane) : records.create<Lane>(key, lane));
}

async function supersede(id: string): Promise<void> {
  const end = { status: 'superseded', reason: 'A newer one took its place', endedAt: Date.now() } as const;
  await advance(records, {
    id,
    at: end.endedAt,
    event: { kind: 'end', end },
    text: end.reason,
    with: () => ({ settled: true }),
  });
}
