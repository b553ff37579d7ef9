import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AppInput } from '../../functions/apps/schema.ts';
import type { BuildView } from '../../functions/api/build-shapes.ts';
import { findBaseImage } from '../support/base-image.ts';
import { until } from '../support/scripted-cloud.ts';
import { freePort, startTestServer, testToken, type TestServer } from '../support/server.ts';

const found = await findBaseImage();
const reason = 'missing' in found ? found.missing : undefined;
const cli = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

const dockerfile = `ARG BASE=node:24-alpine
FROM \${BASE}
WORKDIR /app
COPY large.bin server.mjs ./
COPY version.txt ./
CMD ["node", "server.mjs"]
`;
const program = `import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
createServer((_, response) => response.end(readFileSync('version.txt'))).listen(process.env.PORT);
process.on('SIGTERM', () => process.exit(0));
`;

type Pushed = {
  readonly objects: { readonly total: number; readonly sent: number };
  readonly bytes: { readonly total: number; readonly sent: number };
};

describe.skipIf(reason !== undefined)(`an image that Docker has built${reason ? ` (skipped: ${reason})` : ''}`, () => {
  let server: TestServer;
  let folder: string;
  let port: number;
  const tags: string[] = [];
  const bin = 'engine' in found ? found.engine.bin : '';
  const live = async () => await (await fetch(`http://127.0.0.1:${port}/`)).text();
  const sluice = async (...args: readonly string[]) =>
    await execa(process.execPath, [cli, ...args], {
      env: { SLUICE_URL: server.url, SLUICE_TOKEN: testToken },
      reject: false,
    });
  // The caller says what it expects to get, as the assertions show whether it did.
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters
  const last = <T>(output: string) => JSON.parse(output.trim().split('\n').at(-1) ?? '') as T;

  /** An image whose last layer holds the version, as `docker save` writes it. */
  const save = async (version: string) => {
    await writeFile(join(folder, 'version.txt'), version);
    const tag = `upload-test:${version}-${process.pid}`;
    const base = 'base' in found ? found.base : '';
    await execa(bin, ['build', '--quiet', '--build-arg', `BASE=${base}`, '--tag', tag, folder]);
    tags.push(tag);
    const archive = join(folder, `../${version}.tar`);
    await execa(bin, ['save', '--output', archive, tag]);
    return archive;
  };
  const deployedImages = async () =>
    (await execa(bin, ['images', '--format', '{{.Repository}}:{{.Tag}}'])).stdout
      .split('\n')
      .filter((name) => name.startsWith('sluice-pushed:'));
  const begin = async () => String(last<BuildView>((await sluice('create', 'pushed', 'dev', '--json')).stdout).id);

  beforeAll(async () => {
    const parent = await mkdtemp(join(tmpdir(), 'sluice-upload-'));
    folder = join(parent, 'context');
    await execa('mkdir', [folder]);
    await writeFile(join(folder, 'Dockerfile'), dockerfile);
    await writeFile(join(folder, 'server.mjs'), program);
    await writeFile(join(folder, 'large.bin'), crypto.getRandomValues(new Uint8Array(65_536)));
    [server, port] = await Promise.all([startTestServer({ env: { SLUICE_ENGINE: 'auto' } }), freePort()]);
    const app: AppInput = {
      health: { path: '/', intervalSeconds: 0.2, healthyThreshold: 1 },
      environments: [
        {
          name: 'dev',
          targets: [{ name: 'web', listenPort: port }],
          rollout: { drainSeconds: 1 },
          checks: [{ name: 'layout', command: 'test -f oci-layout && test -f index.json' }],
        },
      ],
    };
    await server.apply('pushed', app);
  });

  afterAll(async () => {
    await server.remove();
    await rm(join(folder, '..'), { recursive: true, force: true });
    await execa(bin, ['image', 'rm', '--force', ...tags, ...(await deployedImages())], { reject: false });
  });

  it('is pushed, checked, published, deployed and served', async () => {
    const build = await begin();
    const pushed = await sluice('push', build, await save('one'), '--publish');
    expect(`${pushed.stdout}${pushed.stderr}`).toContain('succeeded');
    expect(pushed.exitCode).toBe(0);
    expect(await live()).toBe('one');
  });

  it('moves only its changed layer and metadata when it is pushed again', async () => {
    const build = await begin();
    const archive = await save('two');
    const pushed = last<Pushed>((await sluice('push', build, archive, '--json')).stdout);
    // The last layer, the configuration and the manifest: a tar of one small file, and two small documents.
    expect(pushed.objects.sent).toBe(3);
    expect(pushed.bytes.sent).toBeLessThan(16_384);
    expect(pushed.bytes.total).toBeGreaterThan(10_000_000);
    expect((await sluice('commit', build)).exitCode).toBe(0);
    expect((await sluice('publish', build)).exitCode).toBe(0);
    expect(await live()).toBe('two');
  });

  it('of before is brought back by a rollback without a build, also when the engine has lost it', async () => {
    const [, first] = (await server.api<BuildView[]>('GET', '/api/v1/build?published=published')).body;
    const running = (await execa(bin, ['ps', '--format', '{{.Image}}'])).stdout;
    const own = (await deployedImages()).filter((name) => !running.includes(name));
    expect(own.length).toBeGreaterThan(0);
    await execa(bin, ['image', 'rm', '--force', ...own, tags[0] ?? '']);
    const { deployment } = last<{ deployment: string }>(
      (await server.api<{ results: string }>('GET', `/api/v1/build/${first?.id}/publish`)).body.results,
    );
    const { body } = await server.api<{ id: string }>('POST', '/api/v1/apps/pushed/environments/dev/rollback');
    const done = await server.ended(body.id);
    expect(done).toMatchObject({ status: 'succeeded', artifact: { digest: first?.artifact?.digest } });
    expect(done.request).toEqual({ kind: 'revision', deploymentId: deployment });
    expect(done.timeline.map(({ text }) => text).join('\n')).toContain('Brings the image to where it runs');
    expect(await live()).toBe('one');
  });

  it('is not pruned while it runs or may be gone back to', async () => {
    const images = await deployedImages();
    const pruned = await sluice('prune', '--json');
    expect(pruned.exitCode).toBe(0);
    const { body } = await server.api<{ id: number }>('POST', '/api/v1/prune', { 'keep-hours': 0 });
    const job = await until(
      async () => (await server.api<{ status: number; results: string }>('GET', `/api/v1/job/${body.id}`)).body,
      ({ status }) => status > 1,
    );
    expect(JSON.parse(job.results)).toEqual({ artifacts: 0, objects: 0, bytes: 0 });
    expect(await deployedImages()).toEqual(images);
    expect(await live()).toBe('one');
  });
});
