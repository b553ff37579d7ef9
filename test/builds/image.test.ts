import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as v from 'valibot';
import { artifactResultSchema, type BuildSpec, type ImageSpec } from '../../functions/builds/spec.ts';
import { findEngine, type Engine } from '../../local/engine.ts';
import { environmentOfTests, makeBuilds, makeSource, newBuildId, request, sourceSpec } from '../support/builds.ts';
import type { Builds, Ended, Repository } from '../support/builds.ts';

const engine = await findEngine('auto', environmentOfTests());
const without = engine ? '' : ' (skipped: no container engine answers)';

/** Small enough for every test: a static-free image of one file. */
const dockerfile = `FROM scratch AS base
ARG VERSION=none
ARG DOCKER_HOST=none
LABEL test.version=$VERSION test.host=$DOCKER_HOST
COPY . /app/
FROM base AS other
LABEL test.stage=other
FROM base AS last
`;

describe.skipIf(!engine)(`images${without}`, () => {
  let builds: Builds;
  let source: Repository;
  const tags = new Set<string>();
  const bin = engine?.bin ?? '';
  const run = async (...args: string[]) => (await promisify(execFile)(bin, args)).stdout.trim();

  beforeAll(async () => {
    builds = await makeBuilds({ engine: async () => engine });
    source = await makeSource({
      Dockerfile: dockerfile,
      'app.txt': 'hello',
      'sub/Dockerfile.sub': 'FROM scratch\nCOPY x /x\n',
      'sub/x': 'x',
    });
  });
  afterAll(async () => {
    for (const tag of tags) await run('image', 'rm', '--force', tag).catch(() => '');
    await builds.remove();
    await source.remove();
  });

  async function build(image: Partial<ImageSpec>, using: Builds = builds) {
    const tag = `sluice-web:${newBuildId()}`;
    tags.add(tag);
    const whole = { dockerfile: 'Dockerfile', context: '.', buildArgs: {}, tag, ...image };
    return {
      tag,
      ...(await using.run(request({ kind: 'image', source: sourceSpec({ repoUrl: source.url }), image: whole }))),
    };
  }
  async function take(work: BuildSpec['work']) {
    if ('registry' in work) tags.add(work.registry.tag);
    if ('fetch' in work) tags.add(work.fetch.tag);
    return await builds.run(request(work));
  }
  const resultOf = (end: Ended) => v.parse(artifactResultSchema, JSON.parse(end.exported['SLUICE_RESULT'] ?? ''));
  const labelsOf = async (reference: string) =>
    JSON.parse(await run('image', 'inspect', '--format', '{{json .Config.Labels}}', reference)) as Record<
      string,
      string
    >;

  it('are built, tagged, labelled, and named by their id', async () => {
    const commit = await source.git('rev-parse', 'HEAD');
    const { end, tag, text } = await build({});
    expect(end, text).toMatchObject({ status: 'succeeded' });
    const result = resultOf(end);
    expect(result).toMatchObject({ kind: 'image', reference: result.digest, commit });
    expect(await run('image', 'inspect', '--format', '{{.Id}}', tag)).toBe(result.digest);
    expect(await labelsOf(result.reference)).toMatchObject({
      'org.opencontainers.image.revision': commit,
      'org.opencontainers.image.source': source.url,
      'sluice.app': 'web',
      'sluice.deployment': 'd1',
      'test.version': 'none',
    });
  });

  it('take build arguments, also those whose names mean something to the engine’s client', async () => {
    const { end, tag, text } = await build({ buildArgs: { VERSION: 'a "b" $c', DOCKER_HOST: 'tcp://127.0.0.1:1' } });
    expect(end, text).toMatchObject({ status: 'succeeded' });
    expect(await labelsOf(tag)).toMatchObject({ 'test.version': 'a "b" $c', 'test.host': 'tcp://127.0.0.1:1' });
  });

  it('stop at the target stage', async () => {
    const { tag } = await build({ target: 'other' });
    expect(await labelsOf(tag)).toMatchObject({ 'test.stage': 'other' });
  });

  it('take another Dockerfile and context', async () => {
    const { end, text } = await build({ dockerfile: 'sub/Dockerfile.sub', context: 'sub' });
    expect(end, text).toMatchObject({ status: 'succeeded' });
  });

  it('have no .git in them', async () => {
    const { tag } = await build({});
    const container = await run('create', tag, 'x');
    const { stdout } = await promisify(execFile)('sh', ['-c', '"$0" export "$1" | tar -t', bin, container]);
    await run('rm', container);
    expect(stdout).toContain('app/app.txt');
    expect(stdout).not.toContain('.git');
  });

  it('fail with what the engine says, and leave nothing tagged', async () => {
    const { end, tag, text } = await build({ target: 'missing' });
    expect(end.status).toBe('failed');
    expect(text).toMatch(/target stage/i);
    expect(await run('images', '--quiet', tag)).toBe('');
  });

  it('are built by the classic builder where the client has no BuildKit', async () => {
    const legacy: Engine | undefined = engine && { ...engine, buildKit: false };
    const classic = await makeBuilds({ engine: async () => legacy });
    const { end, text } = await build({ buildArgs: { VERSION: '7' } }, classic);
    await classic.remove();
    expect(end, text).toMatchObject({ status: 'succeeded' });
    if (engine?.kind === 'docker') expect(text).toContain('Step 1/');
  });

  it('stop being built when the build is ended', async () => {
    const wanted = request(
      {
        kind: 'image',
        source: sourceSpec({ repoUrl: source.url }),
        image: { dockerfile: 'Dockerfile', context: '.', buildArgs: {}, tag: `sluice-web:${newBuildId()}` },
      },
      { timeoutSeconds: 0.05 },
    );
    const { end } = await builds.run(wanted);
    expect(end.status).toBe('timed_out');
  });

  it('come from a registry, or from the engine where the registry does not give them, and the log says so', async () => {
    const { tag: reference } = await build({});
    const tag = `sluice-web:${newBuildId()}`;
    const { end, text } = await take({ kind: 'registry', registry: { reference, tag } });
    expect(end, text).toMatchObject({ status: 'succeeded' });
    expect(text).toContain(`taking the ${reference} that the engine has`);
    const result = resultOf(end);
    expect(result).toMatchObject({ kind: 'image', reference: result.digest });
    expect(await run('image', 'inspect', '--format', '{{.Id}}', tag)).toBe(result.digest);
  });

  it('are refused when neither has them', async () => {
    const reference = '127.0.0.1:1/nobody/has-this:1';
    const { end } = await take({ kind: 'registry', registry: { reference, tag: `sluice-web:${newBuildId()}` } });
    expect(end).toMatchObject({
      status: 'failed',
      reason: expect.stringContaining(`The image ${reference} cannot be pulled`) as string,
    });
  });

  describe('from a URL', () => {
    let folder: string;
    let base: string;
    const server = createServer((asked, response) => {
      void readFile(join(folder, asked.url ?? '')).then((bytes) => response.end(bytes));
    });
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'sluice-images-'));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    });
    afterAll(async () => {
      server.close();
      await rm(folder, { recursive: true, force: true });
    });
    async function fetched(name: string) {
      const sha256 = createHash('sha256')
        .update(await readFile(join(folder, name)))
        .digest('hex');
      const common = { sha256, artifactKind: 'image', maxBytes: 1e9, allowPrivateHosts: true } as const;
      return await take({
        kind: 'fetch',
        fetch: { ...common, url: `${base}/${name}`, tag: `sluice-web:${newBuildId()}` },
      });
    }

    it('are loaded and tagged', async () => {
      const { tag, end } = await build({});
      await run('tag', tag, 'archived:1');
      await run('save', '--output', join(folder, 'image.tar'), 'archived:1');
      tags.add('archived:1');
      const loaded = await fetched('image.tar');
      expect(loaded.end, loaded.text).toMatchObject({ status: 'succeeded' });
      expect(resultOf(loaded.end)).toMatchObject({ kind: 'image', digest: resultOf(end).digest });
    });

    it('are refused when they would take a tag that only Sluice may give', async () => {
      const { tag } = await build({});
      await run('save', '--output', join(folder, 'hijack.tar'), tag);
      expect((await fetched('hijack.tar')).end.reason).toContain('as only Sluice may');
    });

    it('are refused when there is no image in the archive', async () => {
      await writeFile(join(folder, 'a'), 'x');
      await promisify(execFile)('tar', ['-cf', 'none.tar', 'a'], { cwd: folder });
      expect((await fetched('none.tar')).end).toMatchObject({ status: 'failed' });
    });
  });
});
