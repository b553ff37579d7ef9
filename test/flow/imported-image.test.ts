import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { packTar } from 'modern-tar';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as v from 'valibot';
import { artifactResultSchema } from '../../functions/builds/spec.ts';
import { blobKey } from '../../functions/runtime/aws-names.ts';
import type { Digest } from '../../functions/runtime/units.ts';
import { makeAwsBuilds, type AwsBuilds } from '../support/aws-builds.ts';
import { makeAwsEndpoint, type AwsEndpoint } from '../support/aws-endpoint.ts';
import { request } from '../support/builds.ts';
import { committed, digestOf, indexType, layerType, makeLayer, manifestType, tarFile } from '../support/committed.ts';
import { testEngine } from '../support/docker-image.ts';
import { programMissing, startRegistry, type RealRegistry } from '../support/docker-registry.ts';
import { awsError } from '../support/scripted-aws.ts';

const engine = await testEngine();
const isRoot = process.getuid?.() === 0;
const missing = isRoot ? await programMissing(['docker-registry']) : 'the agent of CodeBuild is root’s';
const docker = async (...args: string[]) => (await promisify(execFile)(engine?.bin ?? '', args)).stdout.trim();

/** What CodeBuild's imports do, with a real registry; only ECR's own calls are answered here, from what that holds. */
describe.skipIf(missing !== undefined)(`imports of CodeBuild${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let real: RealRegistry;
  let endpoint: AwsEndpoint;
  let builds: AwsBuilds;
  let deployments = 0;
  beforeAll(async () => {
    real = await startRegistry();
    endpoint = await makeAwsEndpoint({
      GetAuthorizationToken: () => ({ authorizationData: [{ authorizationToken: 'QVdTOng=' }] }),
      GetLifecyclePolicy: () => ({}),
      DescribeImages: async (input: { repositoryName: string; imageIds: { imageTag: string }[] }) => {
        const image = await real.manifest(input.repositoryName, input.imageIds[0]?.imageTag ?? '');
        if (!image) throw awsError('ImageNotFoundException');
        return { imageDetails: [{ imageDigest: image.digest, imageSizeInBytes: 1234 }] };
      },
    });
    builds = await makeAwsBuilds({ url: endpoint.url, environment: { SLUICE_REGISTRY: real.registry } });
  });
  beforeEach(() => {
    endpoint.calls.length = 0;
    endpoint.objects.clear();
  });
  afterAll(async () => {
    await builds.remove();
    await endpoint.close();
    await real.remove();
  });

  async function imported(image: ReturnType<typeof committed>, digest: Digest) {
    const manifest = await image.manifest({ kind: 'image', digest });
    for (const [name, body] of image.blobs) {
      endpoint.objects.set(`the-bucket/${blobKey(name as Digest)}`, { body, headers: {} });
    }
    const tag = `sluice-web:d${++deployments}`;
    const run = await builds.run(request({ kind: 'import', import: { artifact: digest, manifest, tag } }));
    expect(run.failure, run.text).toBeUndefined();
    const result = v.parse(artifactResultSchema, JSON.parse(run.exported['SLUICE_RESULT'] ?? ''));
    expect(result).toMatchObject({ digest, reference: `${real.registry}/sluice/web@${digest}` });
    return { tag: `d${deployments}`, ...result };
  }
  const read = (bytes: Uint8Array) => endpoint.calls.includes(`GET the-bucket/${blobKey(digestOf(bytes))}`);

  it.runIf(engine)('are whole: an engine pulls what was pushed, of layers of every kind', async () => {
    const image = committed();
    const plain = await makeLayer({ 'plain.txt': 'plain' }, 'plain');
    const packed = await makeLayer({ 'packed.txt': 'packed' });
    const big = Buffer.from(await packTar([tarFile('big.bin', Buffer.alloc(20_000_000, 'big'))]));
    const layers = [plain, packed, { bytes: gzipSync(big), mediaType: `${layerType}+gzip`, diffId: digestOf(big) }];
    const { reference } = await imported(image, digestOf(image.image(layers)));
    await docker('pull', '--quiet', reference);
    const container = await docker('create', reference, 'x');
    const { stdout } = await promisify(execFile)('sh', [
      '-c',
      '"$0" export "$1" | tar -t',
      engine?.bin ?? '',
      container,
    ]);
    await docker('rm', container);
    await docker('image', 'rm', '--force', reference);
    expect(stdout).toMatch(/big\.bin[^]*packed\.txt[^]*plain\.txt/);
  });

  it('keep an index with all of its platforms, though no engine here runs them', async () => {
    const image = committed();
    const zstd = await makeLayer({ z: 'z' }, 'plain');
    const packed = { ...zstd, bytes: zstdCompressSync(zstd.bytes), mediaType: `${layerType}+zstd` };
    const manifests = ['amd64', 's390x'].map((architecture) => ({
      ...image.describe(manifestType, image.image([packed], { architecture })),
      platform: { os: 'linux', architecture },
    }));
    const index = JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests });
    image.add(index);
    const { tag, digest } = await imported(image, digestOf(index));
    const found = await real.manifest('sluice/web', tag);
    expect(found?.digest).toBe(digest);
    expect(found?.manifests?.map(({ platform }) => platform?.architecture)).toEqual(['amd64', 's390x']);
    for (const { digest: child } of found?.manifests ?? [])
      expect(await real.manifest('sluice/web', child)).toBeDefined();
  });

  it('read and send a changed layer alone', async () => {
    const base = await makeLayer({ base: 'the same' });
    const [one, two] = [await makeLayer({ app: 'one' }), await makeLayer({ app: 'two' })];
    const first = committed();
    await imported(first, digestOf(first.image([base, one])));
    endpoint.calls.length = 0;
    const second = committed();
    await imported(second, digestOf(second.image([base, two])));
    expect([read(base.bytes), read(two.bytes)]).toEqual([false, true]);
  });
});
