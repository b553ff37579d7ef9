import { spawn } from 'node:child_process';
import { createHmac, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LogView } from '../../functions/api/shapes.ts';
import type { AppInput } from '../../functions/apps/schema.ts';
import { makeRepository } from '../support/git-repo.ts';
import { startTestServer, testWebhookSecret, type TestServer } from '../support/server.ts';
import { compare, timed, type Comparison } from './measure.ts';

const deliveries = 1200;
const connections = 32;
/** Each connection has two lanes of its own, as pushes of one branch come in order; what is active waits for the build place. */
const lanes = 2 * connections;

/**
 * Deliveries accepted per second by the real server (every one a new push that queues a deployment and supersedes the
 * one that waits) against the bare route. The ratio is of rates: above 1 is faster than bare.
 */
export async function benchDeliveries(pairs: number): Promise<Comparison> {
  const server = await startTestServer({ env: { LOG_LEVEL: 'error', SLUICE_BUILD_CONCURRENCY: '1' } });
  const repository = await makeRepository();
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bare-'));
  const bare = spawn(process.execPath, ['test/bench/bare-route.ts'], {
    cwd: new URL('../../', import.meta.url),
    env: {
      PATH: process.env['PATH'] ?? '',
      BENCH_SECRET: testWebhookSecret,
      BENCH_FOLDER: folder,
      BENCH_APP: JSON.stringify(appOf('https://github.com/bench/app')),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [chunk] = (await once(bare.stdout, 'data')) as [Buffer];
    const bareUrl = /http:\/\/\S+/.exec(chunk.toString())?.[0] ?? '';
    await blockBuilds(server, repository);
    for (let lane = 0; lane < lanes; lane += 1)
      await server.apply(`app-${lane}`, appOf(`https://github.com/bench/app-${lane}`));
    await flood(server.url, lanes * 2);
    return await compare(
      pairs,
      async () => deliveries / (await timed(async () => await flood(server.url, deliveries))),
      async () => deliveries / (await timed(async () => await flood(bareUrl, deliveries))),
    );
  } finally {
    bare.kill('SIGKILL');
    server.child.kill('SIGKILL');
    await server.remove();
    await repository.remove();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The machine's one place for a build is taken, so that what is measured is the accepting and no build beside it. */
async function blockBuilds(server: TestServer, repository: Awaited<ReturnType<typeof makeRepository>>): Promise<void> {
  await repository.commit({ file: '' });
  await server.apply('blocker', appOf(repository.url));
  const { id } = await server.deploy({ app: 'blocker', environment: 'dev', source: {} });
  const isBuilding = async () =>
    (await server.api<LogView>('GET', `/api/v1/build/${id}/logs`)).body.lines?.some(({ text }) =>
      text.includes('sleeping'),
    );
  while (!(await isBuilding())) await new Promise((resolve) => setTimeout(resolve, 100));
}

function appOf(repoUrl: string): AppInput {
  return {
    source: { repoUrl },
    build: { kind: 'bundle', command: 'echo sleeping; sleep 600', timeoutMinutes: 15 },
    runtime: { command: ['true'] },
    environments: [{ name: 'dev', branch: 'main', targets: [{ name: 'web', desiredCount: 0 }] }],
  };
}

let clock = 1_700_000_000;

async function flood(url: string, count: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const client = async (_: unknown, connection: number): Promise<void> => {
    for (let sent = 0; sent < count / connections; sent += 1) {
      await deliver(url, { agent, lane: connection + (sent % 2) * connections });
    }
  };
  await Promise.all(Array.from({ length: connections }, client));
  agent.destroy();
}

async function deliver(url: string, { agent, lane }: { agent: Agent; lane: number }): Promise<void> {
  const after = (clock += 1).toString(16).padStart(40, '0');
  const body = JSON.stringify({
    ref: 'refs/heads/main',
    before: '1'.repeat(40),
    after,
    created: false,
    deleted: false,
    forced: false,
    commits: [{ id: after, message: 'x'.repeat(500) }],
    head_commit: { id: after },
    pusher: { name: 'bench' },
    repository: {
      full_name: `bench/app-${lane}`,
      clone_url: `https://github.com/bench/app-${lane}.git`,
      pushed_at: clock,
    },
  });
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'x-github-event': 'push',
    'x-github-delivery': randomUUID(),
    'x-hub-signature-256': `sha256=${createHmac('sha256', testWebhookSecret).update(body).digest('hex')}`,
  };
  const status = await new Promise<number>((resolve, reject) => {
    const req = request(`${url}/webhooks/github`, { method: 'POST', agent, headers }, (res) => {
      res.resume();
      res.on('end', () => resolve(res.statusCode ?? 0));
    });
    req.on('error', reject);
    req.end(body);
  });
  if (status !== 202) throw new Error(`A delivery was answered with ${status}`);
}
