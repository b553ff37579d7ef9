import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AppInput } from '../../functions/apps/schema.ts';
import { dataIdOf } from '../../local/data-id.ts';
import { findBaseImage } from '../support/base-image.ts';
import { makeRepository } from '../support/git-repo.ts';
import { startLoad } from '../support/load.ts';
import { until } from '../support/scripted-cloud.ts';
import { freePort, startTestServer, type TestServer } from '../support/server.ts';
import { webApp, webFiles, type WebVersion } from '../support/web-app.ts';

const found = await findBaseImage();
const reason = 'missing' in found ? found.missing : undefined;
const dockerfile = `ARG BASE=node:24-alpine
FROM \${BASE} AS built
WORKDIR /app
COPY . .
RUN node build.mjs
FROM built AS last
CMD ["node", "server.mjs"]
`;

describe.skipIf(reason !== undefined)(`an image${reason ? ` (skipped: ${reason})` : ''}`, () => {
  let server: TestServer;
  let repo: Awaited<ReturnType<typeof makeRepository>>;
  let port: number;
  const made: string[] = [];
  const bin = 'engine' in found ? found.engine.bin : '';
  const docker = async (...args: string[]) => (await execa(bin, args)).stdout.split('\n').filter(Boolean);
  const containers = async () =>
    await docker(
      'ps',
      '--all',
      '--filter',
      `label=sluice.data=${await dataIdOf(server.data)}`,
      '--format',
      '{{.Names}}',
    );
  const live = async (path = '/') => await (await fetch(`http://127.0.0.1:${port}${path}`)).text();
  const deploy = async (what: WebVersion) => {
    const ref = await repo.commit({ ...webFiles(what), Dockerfile: dockerfile });
    const { id } = await server.deploy({ app: 'web', environment: 'dev', source: { ref } });
    made.push(id);
    return await server.ended(id);
  };

  beforeAll(async () => {
    [server, repo, port] = await Promise.all([
      startTestServer({ env: { SLUICE_ENGINE: 'auto' } }),
      makeRepository(),
      freePort(),
    ]);
    const app = webApp({ repoUrl: repo.url, listenPort: port });
    const buildArgs = { BASE: 'base' in found ? found.base : '' };
    const image: AppInput = {
      ...app,
      build: { kind: 'image', target: 'last', buildArgs, timeoutMinutes: 2 },
      runtime: {
        port: 8080,
        env: { GREETING: 'hello' },
        secrets: { DATABASE_URL: 'database-url' },
        stopTimeoutSeconds: 5,
      },
    };
    await server.apply('web', image);
    await server.api('PUT', '/api/v1/apps/web/secrets/database-url', { value: 'postgres://user:hunter2@db/web' });
  });
  afterAll(async () => {
    await server.remove();
    await repo.remove();
    await execa(bin, ['image', 'rm', ...made.map((id) => `sluice-web:${id}`)], { reject: false });
  });

  it('is built, tagged, and run in containers that are named for their deployment', async () => {
    const done = await deploy({ version: 'one' });
    expect(done).toMatchObject({ status: 'succeeded', artifact: { kind: 'image' } });
    expect(await live()).toBe('one');
    const names = await containers();
    expect(names).toHaveLength(2);
    for (const name of names) expect(name.startsWith(`sluice-web-${done.id}`)).toBe(true);
    expect(await docker('image', 'inspect', '--format', '{{.Id}}', `sluice-web:${done.id}`)).toEqual([
      done.artifact?.digest,
    ]);
    expect(JSON.parse(await live('/env'))).toMatchObject({
      PORT: '8080',
      GREETING: 'hello',
      DATABASE_URL: 'postgres://user:hunter2@db/web',
    });
  });

  it('is replaced under load without a lost request, and held by the gate when it is broken', async () => {
    const load = startLoad({
      url: `http://127.0.0.1:${port}`,
      requestsPerSecond: 100,
      slow: { clients: 2, path: '/slow' },
    });
    expect(await deploy({ version: 'two' })).toMatchObject({ status: 'succeeded' });
    expect(await live()).toBe('two');
    expect(await deploy({ version: 'sick', behaviour: 'unhealthy' })).toMatchObject({ status: 'rolled_back' });
    const { sent, lost, errors } = await load.stop();
    expect(errors).toEqual([]);
    expect(lost).toBe(0);
    expect(sent).toBeGreaterThan(200);
    expect(await live()).toBe('two');
    expect(await containers()).toHaveLength(2);
  });

  it('of the engine is deployed by its reference, without a build of a source', async () => {
    const { id } = await server.deploy({ app: 'web', environment: 'dev', image: `sluice-web:${made[0]}` });
    made.push(id);
    expect(await server.ended(id)).toMatchObject({ status: 'succeeded', commit: null });
    expect(await live()).toBe('one');
  });

  it('runs again after kill -9 of the server, and no container of before is left', async () => {
    const before = await containers();
    await server.kill();
    server = await startTestServer({ data: server.data, env: { SLUICE_ENGINE: 'auto' } });
    await until(
      async () => await live().catch(() => ''),
      (text) => text === 'one',
    );
    const names = await until(containers, (all) => all.length === 2 && !all.some((name) => before.includes(name)));
    expect(names).toHaveLength(2);
  });

  it('leaves no container when the server stops', async () => {
    expect(await server.stop()).toBe(0);
    expect(await containers()).toEqual([]);
  });
});
