import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { packTar } from 'modern-tar';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import * as v from 'valibot';
import { artifactResultSchema, type CheckSpec } from '../../functions/builds/spec.ts';
import type { Digest } from '../../functions/runtime/units.ts';
import { localBuilder } from '../../local/builder.ts';
import { shellImage, testEngine } from '../support/docker-image.ts';
import { makeBuilds, newBuildId, request, untilLogged, type Builds, type Ended } from '../support/builds.ts';
import {
  committed,
  digestOf,
  indexType,
  layerType,
  manifestType,
  tarFile,
  type Committed,
} from '../support/committed.ts';

const engine = await testEngine();
const without = engine ? '' : ' (skipped: no container engine answers)';
const run = async (...args: string[]) => (await promisify(execFile)(engine?.bin ?? '', args)).stdout.trim();
const isThere = async (reference: string) =>
  await run('image', 'inspect', reference).then(
    () => true,
    () => false,
  );
const resultOf = (end: Ended) => v.parse(artifactResultSchema, JSON.parse(end.exported['SLUICE_RESULT'] ?? ''));

let builds: Builds;
let base = '';
let dispose = async () => {};
const tags = new Set<string>();
beforeAll(async () => {
  if (!engine) return;
  builds = await makeBuilds({ engine: async () => engine });
  ({ name: base, dispose } = await shellImage(engine));
});
afterEach(async () => {
  for (const tag of tags) await run('rmi', '--force', tag).catch(() => '');
  tags.clear();
});
afterAll(async () => {
  await dispose();
  await builds?.remove();
});

/**
 * Builds an image of two layers on the base, saves it, and answers with what a client would push of it. One that is kept
 * for the test lends its layers to the next.
 */
async function builtElsewhere(text: string, { kept = false } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-elsewhere-'));
  const tag = `elsewhere:${newBuildId()}`;
  try {
    await writeFile(
      join(folder, 'Dockerfile'),
      `FROM ${base}\nCOPY one /app/one\nCOPY two /app/two\nCMD ["cat", "two"]\n`,
    );
    await writeFile(join(folder, 'one'), 'always the same\n');
    await writeFile(join(folder, 'two'), `${text}\n`);
    await run('build', '--quiet', '--tag', tag, folder);
    await run('save', '--output', join(folder, 'image.tar'), tag);
    await promisify(execFile)('tar', ['-xf', 'image.tar'], { cwd: folder });
    const [saved] = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as [
      { Config: string; Layers: string[] },
    ];
    const config = await readFile(join(folder, saved.Config));
    const layers = await Promise.all(saved.Layers.map(async (name) => await readFile(join(folder, name))));
    return { config, layers };
  } finally {
    if (kept) tags.add(tag);
    else await run('rmi', '--force', tag).catch(() => '');
    await rm(folder, { recursive: true, force: true });
  }
}

/** The base is large, and the tests are many. */
const packed = (layer: Buffer): Buffer => gzipSync(layer, { level: 1 });

/** An OCI manifest of it, with compressed layers. */
function pushed(image: Committed, { config, layers }: { config: Buffer; layers: readonly Buffer[] }): string {
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestType,
    config: image.describe('application/vnd.oci.image.config.v1+json', config),
    layers: layers.map((bytes) => image.describe(`${layerType}+gzip`, packed(bytes))),
  });
  image.add(manifest);
  return manifest;
}

async function importImage(image: Committed, artifact: Digest) {
  const tag = `sluice-web:${newBuildId()}`;
  tags.add(tag);
  const manifest = await image.manifest({ kind: 'image', digest: artifact });
  await image.store(builds.data);
  return { tag, ...(await builds.run(request({ kind: 'import', import: { artifact, manifest, tag } }))) };
}

describe.skipIf(!engine)(`an image that was built elsewhere${without}`, () => {
  it('is imported from its blobs, and runs', async () => {
    const image = committed();
    const built = await builtElsewhere('hello from elsewhere');
    expect(built.layers.length).toBeGreaterThanOrEqual(3);
    const artifact = digestOf(pushed(image, built));
    const { end, tag, text } = await importImage(image, artifact);
    expect(end, text).toMatchObject({ status: 'succeeded' });
    const result = resultOf(end);
    expect(result).toMatchObject({ kind: 'image', digest: artifact, reference: digestOf(built.config) });
    expect(result.sizeBytes).toBeGreaterThan(100_000);
    expect(await run('image', 'inspect', '--format', '{{.Id}}', tag)).toBe(result.reference);
    expect(await run('run', '--rm', result.reference)).toBe('hello from elsewhere');
  });

  it('has one layer more after a change of one, and both run', async () => {
    const ids: string[] = [];
    for (const text of ['first', 'second']) {
      const image = committed();
      const { end } = await importImage(image, digestOf(pushed(image, await builtElsewhere(text, { kept: true }))));
      ids.push(resultOf(end).reference);
    }
    const layersOf = async (id: string | undefined) =>
      JSON.parse(await run('image', 'inspect', '--format', '{{json .RootFS.Layers}}', id ?? '')) as string[];
    const [first, second] = [await layersOf(ids[0]), await layersOf(ids[1])];
    expect(second.filter((layer) => !first.includes(layer))).toHaveLength(1);
    expect(await Promise.all(ids.map(async (id) => await run('run', '--rm', id)))).toEqual(['first', 'second']);
  });

  it('is the platform of an index that this machine runs', async () => {
    const image = committed();
    const [os, architecture] = (await run('version', '--format', '{{.Server.Os}}/{{.Server.Arch}}')).split('/');
    const own = pushed(image, await builtElsewhere('of this machine'));
    const manifests = [
      { ...image.describe(manifestType, 'of another machine'), platform: { os: 'linux', architecture: 's390x' } },
      { ...image.describe(manifestType, own), platform: { os, architecture } },
    ];
    const index = JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests });
    image.add(index);
    const { end, text } = await importImage(image, digestOf(index));
    expect(end, text).toMatchObject({ status: 'succeeded' });
    expect(resultOf(end).digest).toBe(digestOf(index));
    expect(await run('run', '--rm', resultOf(end).reference)).toBe('of this machine');
  });

  it('is refused by the engine when a layer is not the one that its configuration names', async () => {
    const image = committed();
    const { config, layers } = await builtElsewhere('swapped');
    const other = Buffer.from(await packTar([tarFile('app/two', 'not what was built')]));
    const { end, tag } = await importImage(
      image,
      digestOf(pushed(image, { config, layers: [...layers.slice(0, -1), other] })),
    );
    expect(end.status).toBe('failed');
    expect(end.reason).toMatch(/^The engine cannot load the image: .*diffID/);
    expect(await isThere(tag)).toBe(false);
  });

  it('leaves nothing in the engine when a blob has other bytes', async () => {
    const image = committed();
    const built = await builtElsewhere('spoilt');
    const artifact = digestOf(pushed(image, built));
    const last = packed(built.layers.at(-1) ?? Buffer.of());
    // Equal when it is unpacked, so that only the digest of the blob tells.
    image.blobs.set(digestOf(last), Buffer.concat([last.subarray(0, 9), Buffer.of(7), last.subarray(10)]));
    const { end, tag } = await importImage(image, artifact);
    expect(end).toMatchObject({
      status: 'failed',
      reason: `The object ${digestOf(last)} has other bytes than its digest says`,
    });
    expect(await isThere(tag)).toBe(false);
    expect(await isThere(digestOf(built.config))).toBe(false);
  });
});

describe.skipIf(!engine)(`a check that is an image${without}`, () => {
  let artifact: CheckSpec['artifact'];
  beforeAll(async () => {
    const bundle = committed();
    const digest = bundle.add(gzipSync(await packTar([tarFile('app.txt', 'what is checked\n')])));
    artifact = { kind: 'bundle', digest, manifest: await bundle.manifest({ kind: 'bundle', digest }) };
    await bundle.store(builds.data);
  });
  const check = (more: Pick<CheckSpec, 'command'> & { image?: string; timeoutSeconds?: number }) => {
    const { timeoutSeconds = 60, image = base, ...rest } = more;
    return request({ kind: 'check', check: { name: 'scan', artifact, image, ...rest } }, { timeoutSeconds });
  };
  const containersOf = async (buildId: string) =>
    await run('ps', '--all', '--quiet', '--filter', `name=sluice-web-${buildId}`);

  it('finds the artifact, which it cannot change, and is told what it checks', async () => {
    const wanted = check({
      command:
        'cat app.txt; pwd; echo "$SLUICE_CHECK $SLUICE_APP $SLUICE_KIND $SLUICE_ARTIFACT"; touch x || echo "cannot change"; env',
    });
    const { end, text } = await builds.run(wanted);
    expect(end, text).toMatchObject({ status: 'succeeded', reason: '' });
    expect(JSON.parse(end.exported['SLUICE_RESULT'] ?? '')).toMatchObject({ kind: 'check', passed: true });
    expect(text).toContain('what is checked\n/artifact\nscan web bundle /artifact\n');
    expect(text).toContain('cannot change');
    expect(text).not.toMatch(/SLUICE_(?:SPEC|DATA|MARK|WORK)=/);
    expect(text).not.toContain(builds.data);
    expect(await containersOf(wanted.spec.buildId)).toBe('');
  });

  it('fails by its exit code, with its last words', async () => {
    const wanted = check({ command: 'echo "CVE-2026-1 in libfoo" >&2; exit 5' });
    const { end } = await builds.run(wanted);
    expect(end).toMatchObject({ status: 'failed', reason: 'The check scan ended with 5: CVE-2026-1 in libfoo' });
    expect(await containersOf(wanted.spec.buildId)).toBe('');
  });

  it('does without a command what the image itself does', async () => {
    const built = await builtElsewhere('what the image says');
    const image = committed();
    const { tag } = await importImage(image, digestOf(pushed(image, built)));
    const { end, text } = await builds.run(check({ image: tag }));
    expect(end, text).toMatchObject({ status: 'succeeded' });
    expect(text).toContain('what the image says');
  });

  it('is refused when there is no such image', async () => {
    const { end } = await builds.run(check({ image: '127.0.0.1:1/nobody/has-this:1', command: 'true' }));
    expect(end.reason).toContain('The image 127.0.0.1:1/nobody/has-this:1 cannot be pulled');
  });

  const forever = 'trap "" TERM; echo "running now"; while :; do sleep 1; done';

  it('ends with its container when it is stopped', async () => {
    const wanted = check({ command: forever });
    await builds.builder.start(wanted);
    await untilLogged(builds.builder, wanted.spec.buildId, 'running now');
    expect(await containersOf(wanted.spec.buildId)).not.toBe('');
    await builds.builder.stop(wanted.spec.buildId);
    expect(await containersOf(wanted.spec.buildId)).toBe('');
    expect(await builds.builder.observe(wanted.spec.buildId)).toMatchObject({ status: 'stopped' });
  });

  it('ends with its container at its time limit', async () => {
    const wanted = check({ command: forever, timeoutSeconds: 3 });
    const { end } = await builds.run(wanted);
    expect(end).toMatchObject({ status: 'timed_out', reason: 'The build took longer than its limit of 3 s' });
    expect(await containersOf(wanted.spec.buildId)).toBe('');
  });

  it('is ended by the next start of a server that was killed, and those of another data folder are not', async () => {
    const id = builds.options.dataFolderId;
    const container = async (mark: string) =>
      await run('run', '--detach', '--label', `sluice.mark=${mark}`, '--entrypoint', 'sleep', base, '600');
    const left = await container(`${id}/build/left-behind`);
    const others = await container(`${id}x/build/of-another`);
    try {
      await localBuilder(builds.options).recover();
      const running = await run('ps', '--quiet', '--no-trunc');
      expect(running).not.toContain(left);
      expect(running).toContain(others);
    } finally {
      await run('rm', '--force', left, others).catch(() => '');
    }
  });
});
