import { createHmac, timingSafeEqual } from 'node:crypto';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { v7 } from 'uuid';
import { openRecords } from '../../local/records.ts';

/**
 * What the webhook is measured against, as a process of its own: a bare hono route that checks the same HMAC, parses
 * the body, and makes the same conditional writes to the same kind of store: the deployment, its lane, and the end of the
 * deployment that it supersedes.
 */
const secret = process.env['BENCH_SECRET'] ?? '';
const { records } = await openRecords({ folder: process.env['BENCH_FOLDER'] ?? '' });
const app = new Hono();
app.post('/webhooks/github', async (c) => {
  const raw = Buffer.from(await c.req.arrayBuffer());
  const expected = Buffer.from(`sha256=${createHmac('sha256', secret).update(raw).digest('hex')}`);
  const given = Buffer.from(c.req.header('x-hub-signature-256') ?? '');
  if (expected.length !== given.length || !timingSafeEqual(expected, given))
    return c.json({ message: 'bad signature' }, 401);
  const push = JSON.parse(raw.toString()) as { after: string };
  const id = v7();
  const key = (partition: string) => ({ partition, sort: 'bench' });
  await records.create(key(`deployment/${id}`), { id, commit: push.after });
  await records.create(key(`lane/${id}`), { active: id });
  await records.create(key(`superseded/${id}`), { id, commit: push.after });
  return c.json({ deployments: [{ id }] }, 202);
});
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => {
  process.stdout.write(`ready on http://127.0.0.1:${port}\n`);
});
