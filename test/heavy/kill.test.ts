import { readdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { dataIdOf } from '../../local/data-id.ts';
import { findMarks } from '../../local/process-tree.ts';
import { until } from '../support/scripted-cloud.ts';
import { makeRepository } from '../support/git-repo.ts';
import { freePort, startTestServer, type TestServer } from '../support/server.ts';
import { webApp, webFiles, type WebVersion } from '../support/web-app.ts';

/** Kills spread over the whole way of a deployment, which takes about this long on a slow machine. */
const points = 34;
const spreadMs = 2600;

let data: string;
let repo: Awaited<ReturnType<typeof makeRepository>>;
let port: number;
const seenAt = new Map<string, number>();

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-kill-'));
  [repo, port] = await Promise.all([makeRepository(), freePort()]);
  const server = await startTestServer({ data });
  await server.apply('web', webApp({ repoUrl: repo.url, listenPort: port }));
  const commit = await repo.commit(webFiles({ version: 'base' }));
  const { id } = await server.deploy({ app: 'web', environment: 'dev', source: { ref: commit } });
  expect((await server.ended(id)).status).toBe('succeeded');
  await server.stop();
});
const running = new Set<TestServer>();
const start = async (): Promise<TestServer> => {
  const server = await startTestServer({ data });
  running.add(server);
  return server;
};
afterEach(async () => {
  for (const server of running) await server.kill();
  running.clear();
});
afterAll(async () => {
  const server = await startTestServer({ data });
  await server.remove();
  await repo.remove();
  process.stdout.write(`killed while it was: ${JSON.stringify(Object.fromEntries(seenAt))}\n`);
});

describe('after kill -9 of the server', () => {
  let serving = 'base';
  for (let point = 0; point < points; point += 1) {
    const afterMs = Math.round((spreadMs * point) / points);
    const behaviour: WebVersion['behaviour'] = point % 3 === 2 ? 'unhealthy' : 'well';
    it(`${afterMs} ms into the deployment of a version that is ${behaviour}, everything comes to its true end`, async () => {
      const version = `v${point}`;
      const commit = await repo.commit(webFiles({ version, behaviour }));
      const first = await start();
      const { id } = await first.deploy({ app: 'web', environment: 'dev', source: { ref: commit } });
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      const { status } = await first.deployment(id);
      seenAt.set(status, (seenAt.get(status) ?? 0) + 1);
      await first.kill();

      const second = await start();
      const done = await second.ended(id);
      expect(done).toMatchObject({ status: behaviour === 'well' ? 'succeeded' : 'rolled_back' });
      if (behaviour === 'well') serving = version;
      const place = await until(
        async () => await second.environment('web', 'dev'),
        ({ lane, targets }) => lane.active === null && targets[0]?.runningCount === 2 && targets[0].tasks.length === 2,
      );
      expect(place.lane).toEqual({ active: null, queued: [] });
      expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe(serving);
      // Nothing runs twice, and nothing is left: two tasks, no build, no folder of one.
      const marks = await findMarks(`${await dataIdOf(data)}/`);
      expect(marks.filter((mark) => mark.includes('/task/'))).toHaveLength(2);
      expect(marks.filter((mark) => !mark.includes('/task/'))).toEqual([]);
      expect(await readdir(join(data, 'work', 'builds'))).toEqual([]);
    });
  }

  it('was killed in at least three different states', () => {
    expect(seenAt.size).toBeGreaterThanOrEqual(3);
  });
});
