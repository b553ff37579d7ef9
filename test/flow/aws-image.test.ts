import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as v from 'valibot';
import { artifactResultSchema, type ImageSpec } from '../../functions/builds/spec.ts';
import type { RunResult } from '../../local/run-buildspec.ts';
import { makeAwsBuilds, roleSecrets, type AwsBuilds } from '../support/aws-builds.ts';
import { makeAwsEndpoint, type AwsEndpoint } from '../support/aws-endpoint.ts';
import { findBaseImage } from '../support/base-image.ts';
import { buildKitMissing, startBuildKit, type BuildKitWorld } from '../support/buildkit.ts';
import { makeSource, request, sourceSpec, type Repository } from '../support/builds.ts';
import { awsError } from '../support/scripted-aws.ts';
import { makeKeyPair, sshdMissing, startSshd, type Sshd } from '../support/sshd.ts';

const missing = (await buildKitMissing()) ?? (await sshdMissing());
const dockerfile = `FROM scratch AS base
ARG VERSION=none
COPY . /app/
FROM base AS other
LABEL test.stage=other
FROM base AS last
LABEL test.version=$VERSION
`;
const password = 'marked-registry-password';

/**
 * What CodeBuild's image builds do, with a real BuildKit and a real registry; only ECR's own calls are answered here,
 * from what the registry holds. The scanner that makes the SBOM is an image of Docker Hub, which no test may need.
 */
describe.skipIf(missing !== undefined)(`images of CodeBuild${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let world: BuildKitWorld;
  let endpoint: AwsEndpoint;
  let builds: AwsBuilds;
  let source: Repository;
  let sshd: Sshd;
  let made = false;
  let deployments = 0;
  beforeAll(async () => {
    world = await startBuildKit();
    const key = await makeKeyPair();
    endpoint = await makeAwsEndpoint({
      GetSecretValue: () => ({ SecretString: key.privateKey, VersionId: 'v'.repeat(32) }),
      GetAuthorizationToken: () => ({
        authorizationData: [{ authorizationToken: Buffer.from(`AWS:${password}`).toString('base64') }],
      }),
      GetLifecyclePolicy: () => {
        if (!made) throw awsError('RepositoryNotFoundException');
        return {};
      },
      CreateRepository: () => {
        made = true;
        return {};
      },
      PutLifecyclePolicy: () => ({}),
      DescribeImages: async (input: { repositoryName: string; imageIds: { imageTag: string }[] }) => {
        const image = await world.manifest(input.repositoryName, input.imageIds[0]?.imageTag ?? '');
        if (!image) throw awsError('ImageNotFoundException');
        return { imageDetails: [{ imageDigest: image.digest, imageSizeInBytes: 1234 }] };
      },
    });
    builds = await makeAwsBuilds({ ...endpoint, environment: { ...world.environment, SLUICE_SBOM_SCANNER: 'none' } });
    source = await makeSource({ Dockerfile: dockerfile, 'app.txt': 'hello' });
    sshd = await startSshd({ authorized: key });
  }, 60_000);
  beforeEach(() => void (endpoint.calls.length = 0));
  afterAll(async () => {
    await sshd.close();
    await source.remove();
    await builds.remove();
    await endpoint.close();
    await world.remove();
  }, 60_000);

  async function build(image: Partial<ImageSpec> = {}, deployment = `d${++deployments}`, on = builds) {
    const whole = { dockerfile: 'Dockerfile', context: '.', buildArgs: {}, tag: `sluice-web:${deployment}`, ...image };
    const from = sourceSpec({
      repoUrl: sshd.urlOf(source.folder),
      credential: { kind: 'ssh-key', secret: 'apps/web/source/deploy-key' },
      hostKeys: [sshd.pin()],
    });
    return {
      deployment,
      ...(await on.run(request({ kind: 'image', source: from, image: whole }, { deploymentId: deployment }))),
    };
  }
  const resultOf = ({ exported, failure, text }: RunResult & { text: string }) => {
    expect(failure, text).toBeUndefined();
    return v.parse(artifactResultSchema, JSON.parse(exported['SLUICE_RESULT'] ?? ''));
  };
  /** The attestations of an index, by the predicate they make. */
  async function attestationsOf(digest: string) {
    const index = await world.manifest('sluice/web', digest);
    const entry = index?.manifests?.find(
      ({ annotations }) => annotations?.['vnd.docker.reference.type'] === 'attestation-manifest',
    );
    const { layers = [] } = (entry && (await world.manifest('sluice/web', entry.digest))) ?? {};
    return await Promise.all(
      layers.map(async (layer) => ({
        predicate: layer.annotations?.['in-toto.io/predicate-type'],
        text: await world.blob('sluice/web', layer.digest),
      })),
    );
  }

  it('are pushed by digest with their provenance, to a repository made on demand', async () => {
    const { deployment, ...run } = await build({ buildArgs: { VERSION: '7' } });
    const result = resultOf(run);
    expect(result.kind).toBe('image');
    expect(result.reference).toBe(`${world.registry}/sluice/web@${result.digest}`);
    expect(result.sizeBytes).toBe(1234);
    const index = await world.manifest('sluice/web', deployment);
    expect(index?.digest).toBe(result.digest);
    expect(index?.mediaType).toBe('application/vnd.oci.image.index.v1+json');
    const image = index?.manifests?.find(({ platform }) => platform?.architecture !== 'unknown');
    const config = (await world.manifest('sluice/web', image?.digest ?? ''))?.config?.digest ?? '';
    const { Labels } = (JSON.parse(await world.blob('sluice/web', config)) as { config: { Labels: object } }).config;
    expect(Labels).toMatchObject({ 'test.version': '7', 'sluice.app': 'web', 'sluice.deployment': deployment });
    const attestations = await attestationsOf(result.digest);
    expect(attestations.map(({ predicate }) => predicate)).toEqual([expect.stringContaining('slsa.dev/provenance')]);
    // `mode=max`: with the Dockerfile that it was built from.
    expect(attestations[0]?.text).toContain('"Dockerfile"');
    expect(endpoint.calls).toEqual([
      'GetSecretValue',
      'DescribeImages',
      'GetLifecyclePolicy',
      'CreateRepository',
      'PutLifecyclePolicy',
      'GetAuthorizationToken',
      'DescribeImages',
    ]);
    for (const value of [password, ...roleSecrets]) expect(run.text).not.toContain(value);
  }, 60_000);

  it('are built with the cache of the registry by a BuildKit that has none of its own', async () => {
    const first = await build({ buildArgs: { VERSION: 'cached' } });
    resultOf(first);
    const cache = await world.manifest('sluice/web', 'cache');
    expect(cache?.config?.mediaType).toBe('application/vnd.buildkit.cacheconfig.v0');
    await world.forget();
    const second = await build({ buildArgs: { VERSION: 'cached' } });
    resultOf(second);
    expect(second.text).toMatch(/importing cache manifest from .*:cache/);
    expect(second.text).toContain('CACHED');
  }, 60_000);

  it('are taken as they are when an earlier attempt of the deployment has pushed them', async () => {
    const first = await build();
    endpoint.calls.length = 0;
    const again = await build({}, first.deployment);
    expect(resultOf(again).digest).toBe(resultOf(first).digest);
    expect(again.text).toContain('An earlier attempt of this deployment has pushed its image');
    expect(endpoint.calls).toEqual(['GetSecretValue', 'DescribeImages']);
  }, 60_000);

  it('are built of the stage that is named, and say why they fail', async () => {
    const { digest } = resultOf(await build({ target: 'other' }));
    expect((await world.manifest('sluice/web', digest))?.manifests).toHaveLength(2);
    const broken = await build({ target: 'nowhere' });
    expect(broken.failure?.phase).toBe('build');
    expect(broken.exported['SLUICE_REASON']).toContain('docker ended with 1');
    expect(broken.text).toContain('nowhere');
    expect(await world.manifest('sluice/web', broken.deployment)).toBeUndefined();
  }, 60_000);

  it('come from another registry whole, with the digest they have there', async () => {
    const original = resultOf(await build());
    const copied = await builds.run(
      request(
        { kind: 'registry', registry: { reference: original.reference, tag: 'sluice-shop:e1' } },
        { app: 'shop', deploymentId: 'e1' },
      ),
    );
    const result = resultOf(copied);
    expect(result.digest).toBe(original.digest);
    expect(result.reference).toBe(`${world.registry}/sluice/shop@${original.digest}`);
    expect((await world.manifest('sluice/shop', 'e1'))?.manifests).toHaveLength(2);
    const none = {
      kind: 'registry',
      registry: { reference: `${world.registry}/none:1`, tag: 'sluice-shop:e2' },
    } as const;
    const { exported } = await builds.run(request(none, { app: 'shop', deploymentId: 'e2' }));
    expect(exported['SLUICE_REASON']).toMatch(/^The image .*none:1 cannot be copied: .*not found/);
  }, 60_000);

  it('are built without the role’s credential, and a scanner lists what they hold', async () => {
    const found = await findBaseImage();
    if ('missing' in found) throw new Error(found.missing);
    const base = `${world.registry}/base:1`;
    const docker = async (...args: string[]) => await promisify(execFile)('docker', args);
    await docker('tag', found.base, base);
    await docker('push', base);
    await docker('image', 'rm', base);
    // As BuildKit asks of a scanner: https://github.com/moby/buildkit/blob/master/docs/attestations/sbom-protocol.md
    const statement =
      '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","predicate":{"name":"listed"}}';
    await source.commit({
      'Dockerfile.scanner': `FROM ${base}\nCMD ["/bin/sh","-c","echo '${statement.replaceAll('"', '\\"')}' > $BUILDKIT_SCAN_DESTINATION/x.spdx.json"]\n`,
      'Dockerfile.probe': `FROM ${base}\nRUN id; env; for file in /proc/[0-9]*/environ; do cat "$file"; done; ls -a /root\n`,
    });
    const scanner = resultOf(await build({ dockerfile: 'Dockerfile.scanner' }));
    const scanning = await makeAwsBuilds({
      ...endpoint,
      environment: { ...world.environment, SLUICE_SBOM_SCANNER: scanner.reference },
    });
    try {
      const run = await build({ dockerfile: 'Dockerfile.probe' }, 'probe', scanning);
      const { digest } = resultOf(run);
      expect(run.text).toContain('uid=0');
      for (const value of [password, Buffer.from(`AWS:${password}`).toString('base64'), 'AWS_', ...roleSecrets]) {
        expect(run.text, value).not.toContain(value);
      }
      const attestations = await attestationsOf(digest);
      expect(attestations.map(({ predicate }) => predicate)).toContain('https://spdx.dev/Document');
      expect(attestations.some(({ text }) => text.includes('"listed"'))).toBe(true);
    } finally {
      await scanning.remove();
    }
  }, 120_000);

  it('come from an archive, and an engine can pull them', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-archive-'));
    const run = promisify(execFile);
    await run('sh', ['-c', `cd ${folder} && tar -cf layer.tar -T /dev/null && docker import layer.tar test-archive:1`]);
    await run('docker', ['save', '--output', join(folder, 'image.tar'), 'test-archive:1']);
    const bytes = await readFile(join(folder, 'image.tar'));
    const server = createServer((_request, response) => response.end(bytes));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const fetched = await builds.run(
      request(
        {
          kind: 'fetch',
          fetch: {
            url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/image.tar`,
            sha256: createHash('sha256').update(bytes).digest('hex'),
            artifactKind: 'image',
            maxBytes: 1e8,
            allowPrivateHosts: true,
            tag: 'sluice-shop:f1',
          },
        },
        { app: 'shop', deploymentId: 'f1' },
      ),
    );
    const { reference } = resultOf(fetched);
    await run('docker', ['image', 'rm', '--force', 'test-archive:1']);
    await run('docker', ['pull', '--quiet', reference]);
    await run('docker', ['image', 'rm', '--force', reference]);
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true });
    const result = resultOf(fetched);
    expect((await world.manifest('sluice/shop', 'f1'))?.digest).toBe(result.digest);
    expect(fetched.text).not.toContain(password);
  }, 60_000);
});
