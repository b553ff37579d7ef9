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

/** Kills spread over the whole way of a deployment, whose ways take about so long: a good one, and one that is undone. */
const points = 36;
const spreadMs = { well: 2400, unhealthy: 3600 } as const;
/** So many must have come before the deployment's end. */
const mostlyBefore = 30;

let data: string;
let repo: Awaited<ReturnType<typeof makeRepository>>;
let port: number;
const seenAt = new Map<string, number>();

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-kill-'));
  [repo, port] = await Promise.all([makeRepository(), freePort()]);
  const server = await startTestServer({ data });
  const app = webApp({ repoUrl: repo.url, listenPort: port });
  const [environment] = app.environments;
  await server.apply('web', {
    ...app,
    // Long enough in each of its states to be killed there.
    build: { kind: 'bundle', command: 'sleep 0.5 && node build.mjs' },
    environments: [{ ...environment!, rollout: { ...environment!.rollout, bakeSeconds: 1 } }],
  });
  const commit = await repo.commit(webFiles({ version: 'base' }));
  const { id } = await server.deploy({ app: 'web', environment: 'dev', source: { ref: commit } });
  const { status } = await server.ended(id);
  if (status !== 'succeeded') throw new Error(`The first deployment ended as ${status}`);
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
    const behaviour: NonNullable<WebVersion['behaviour']> & keyof typeof spreadMs =
      point % 3 === 2 ? 'unhealthy' : 'well';
    const afterMs = Math.round((spreadMs[behaviour] * point) / points);
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

  it('was seen in each state on the way, and 30 times or more before its end', () => {
    const ends = ['succeeded', 'rolled_back', 'failed'];
    const before = [...seenAt].filter(([status]) => !ends.includes(status));
    expect(before.map(([status]) => status)).toEqual(expect.arrayContaining(['building', 'rolling', 'verifying']));
    expect(before.reduce((sum, [, count]) => sum + count, 0)).toBeGreaterThanOrEqual(mostlyBefore);
  });
});
