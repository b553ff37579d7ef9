import { createHash } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { packTar } from 'modern-tar';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { BuildView, JobView, PointerView } from '../../functions/api/build-shapes.ts';
import type { DeploymentView } from '../../functions/api/shapes.ts';
import { until } from '../support/scripted-cloud.ts';
import { freePort, startTestServer, testToken, type TestServer } from '../support/server.ts';

/** Kills spread over the way from a commit to a publication's deployment, which takes about so long. */
const points = 18;
const spreadMs = 1600;

const program = (version: string) => `import { createServer } from 'node:http';
createServer((_, response) => response.end('${version}')).listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
`;

let data: string;
let port: number;
let hooks: Server;
const called: string[] = [];
const running = new Set<TestServer>();
const start = async (): Promise<TestServer> => {
  const server = await startTestServer({ data, env: { SLUICE_FETCH_ALLOW_PRIVATE: 'true' } });
  running.add(server);
  return server;
};

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-kill-builds-'));
  port = await freePort();
  hooks = createServer((request, response) => {
    called.push(String(request.headers['webhook-id']));
    request.resume().once('end', () => response.writeHead(204).end());
  }).listen(0, '127.0.0.1');
  await once(hooks, 'listening');
  const address = hooks.address();
  const hookPort = typeof address === 'object' && address !== null ? address.port : 0;
  const server = await start();
  await server.apply('web', {
    runtime: { command: ['node', 'server.mjs'] },
    health: { path: '/', intervalSeconds: 0.1, healthyThreshold: 1 },
    environments: [
      {
        name: 'dev',
        targets: [{ name: 'web', listenPort: port }],
        rollout: { drainSeconds: 1 },
        checks: [{ name: 'slow', command: 'sleep 0.3 && test -f server.mjs' }],
        hooks: [{ name: 'tell', url: `http://127.0.0.1:${hookPort}/`, secret: 'hook-secret' }],
      },
    ],
  });
  await server.api('PUT', '/api/v1/apps/web/secrets/hook-secret', { value: 'a secret of this test' });
  await server.kill();
  running.delete(server);
});
afterEach(async () => {
  for (const server of running) await server.kill();
  running.clear();
});
afterAll(async () => {
  const server = await startTestServer({ data });
  await server.remove();
  hooks.close();
});

describe('after kill -9 of the server', () => {
  const published: string[] = [];

  for (let point = 0; point < points; point += 1) {
    const afterMs = Math.round((spreadMs * point) / points);
    it(`${afterMs} ms into a commit and its publication, nothing is lost and nothing is there twice`, async () => {
      const version = `v${point}`;
      const first = await start();
      const { id, digest } = await fill(first, version);
      // Whoever asks goes on asking, as a client does; the server is killed under it.
      const asking = commitAndPublish(first, id).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      await first.kill();
      await asking;

      const second = await start();
      const deployment = await commitAndPublish(second, id);
      published.push(digest);
      const done = await second.ended(deployment);
      expect(done).toMatchObject({ status: 'succeeded', artifact: { digest } });
      expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe(version);

      const { body: build } = await second.api<BuildView>('GET', `/api/v1/build/${id}`);
      expect(build).toMatchObject({ repo_state: 2, published_state: 2, artifact: { digest } });
      const { body: pointer } = await second.api<PointerView>('GET', '/api/v1/apps/web/environments/dev/published');
      expect(pointer.history.map(({ artifact }) => artifact)).toEqual(published.toReversed());
      const { body: all } = await second.api<{ items: DeploymentView[] }>(
        'GET',
        '/api/v1/deployments?app=web&limit=200',
      );
      expect(all.items).toHaveLength(published.length);
      const { lane } = await second.environment('web', 'dev');
      expect(lane).toEqual({ active: null, queued: [] });
      // Told at least once, and under one id however often.
      await until(
        async () => new Set(called).size,
        (ids) => ids === published.length,
      );
    });
  }
});

async function fill(server: TestServer, version: string): Promise<{ id: number; digest: string }> {
  const file = { header: { name: 'server.mjs', size: Buffer.byteLength(program(version)) }, body: program(version) };
  const bytes = gzipSync(await packTar([file]));
  const hex = createHash('sha256').update(bytes).digest('hex');
  const { body } = await server.api<BuildView>('POST', '/api/v1/build', { repo: 'dev', 'app-id': 'web' });
  const form = new FormData();
  form.append('file0', new Blob([new Uint8Array(bytes)]), `${hex}.blob`);
  const response = await fetch(`${server.url}/api/v1/build/${body.id}/upload`, {
    method: 'POST',
    headers: { authorization: `Bearer ${testToken}` },
    body: form,
  });
  expect(await response.json()).toEqual([bytes.byteLength]);
  await server.api('POST', `/api/v1/build/${body.id}/build_ref`, { ref: 'app/web/any/dev', commit: hex });
  return { id: body.id, digest: `sha256:${hex}` };
}

/** As a client that lost its answers does: asks for what is not done yet, until it is. The deployment's id. */
async function commitAndPublish(server: TestServer, id: number): Promise<string> {
  const state = async () => (await server.api<BuildView>('GET', `/api/v1/build/${id}`)).body;
  await server.api('POST', `/api/v1/build/${id}/commit`, {});
  const ready = await until(state, ({ repo_state: now }) => now === 2 || now === 3 || now === 0);
  expect(ready.repo_state).toBe(2);
  const { status, body } = await server.api<JobView>('POST', `/api/v1/build/${id}/publish`, {});
  expect(status).toBe(200);
  const job = await until(
    async () => (await server.api<JobView>('GET', `/api/v1/job/${body.id}`)).body,
    (now) => now.status > 1,
  );
  expect(job.status).toBe(2);
  return (JSON.parse(job.results ?? '{}') as { deployment: string }).deployment;
}
