import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeploymentView } from '../../functions/api/shapes.ts';
import { makeRepository } from '../support/git-repo.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { webApp, webFiles } from '../support/web-app.ts';

const apps = 200;
const atOnce = 50;
/** So many of the apps run a task; the others only go the whole way with none, to spare the machine's memory. */
const withTasks = 20;
let server: TestServer;
let repo: Awaited<ReturnType<typeof makeRepository>>;

beforeAll(async () => {
  [server, repo] = await Promise.all([startTestServer({ env: { LOG_LEVEL: 'warn' } }), makeRepository()]);
});
afterAll(async () => {
  await repo.remove();
  await server.remove();
});

describe('200 apps', () => {
  it('pushed at once, three times each, all come to an end, and in each lane one at a time', async () => {
    const commits: string[] = [];
    for (const version of ['a', 'b', 'c']) commits.push(await repo.commit(webFiles({ version })));
    const ids = Array.from({ length: apps }, (_, at) => `app-${at}`);
    for (const [at, id] of ids.entries()) {
      const app = webApp({ repoUrl: repo.url, listenPort: 1 });
      const [environment] = app.environments;
      await server.apply(id, {
        ...app,
        environments: [{ ...environment!, targets: [{ name: 'web', desiredCount: at < withTasks ? 1 : 0 }] }],
      });
    }
    const wanted = ids.flatMap((app) => commits.map((ref) => ({ app, environment: 'dev', source: { ref } })));
    const made: DeploymentView[] = [];
    for (let from = 0; from < wanted.length; from += atOnce) {
      made.push(
        ...(await Promise.all(wanted.slice(from, from + atOnce).map(async (body) => await server.deploy(body)))),
      );
    }
    const deadline = Date.now() + 500_000;
    const left = new Set(made.map(({ id }) => id));
    const ends = new Map<string, number>();
    const activeIn = new Map<string, [number, number][]>();
    while (left.size > 0) {
      expect(Date.now()).toBeLessThan(deadline);
      for (const id of left) {
        const deployment = await server.deployment(id);
        if (deployment.endedAt === null) continue;
        left.delete(id);
        ends.set(deployment.status, (ends.get(deployment.status) ?? 0) + 1);
        const began = deployment.timeline.find(({ kind }) => kind === 'building' || kind === 'rolling');
        if (began)
          activeIn.set(deployment.app, [
            ...(activeIn.get(deployment.app) ?? []),
            [Date.parse(began.at), Date.parse(deployment.endedAt)],
          ]);
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    process.stdout.write(`${made.length} deployments of ${apps} apps: ${JSON.stringify(Object.fromEntries(ends))}\n`);
    expect(activeIn.size).toBe(apps);
    for (const times of activeIn.values()) {
      const sorted = times.toSorted((a, b) => a[0] - b[0]);
      for (const [at, [begins]] of sorted.entries()) expect(begins).toBeGreaterThanOrEqual(sorted[at - 1]?.[1] ?? 0);
    }
    expect([...ends.keys()].filter((status) => status !== 'succeeded' && status !== 'superseded')).toEqual([]);
    for (const id of ids) expect((await server.environment(id, 'dev')).lane).toEqual({ active: null, queued: [] });
  });
});
