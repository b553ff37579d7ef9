import { gzipSync } from 'node:zlib';
import { packTar } from 'modern-tar';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as v from 'valibot';
import { artifactResultSchema, type CheckSpec } from '../../functions/builds/spec.ts';
import { blobKey } from '../../functions/runtime/aws-names.ts';
import type { Digest } from '../../functions/runtime/units.ts';
import { makeAwsBuilds, processesOf, roleSecrets, type AwsBuilds } from '../support/aws-builds.ts';
import { makeAwsEndpoint, type AwsEndpoint } from '../support/aws-endpoint.ts';
import { request } from '../support/builds.ts';
import { committed, digestOf, makeLayer, tarFile, type Committed } from '../support/committed.ts';
import { fakeRegistry, type FakeRegistry } from '../support/fake-registry.ts';
import { awsError } from '../support/scripted-aws.ts';

const isRoot = process.getuid?.() === 0;
const missing = isRoot ? '' : ' (skipped: only root can give the app’s command another user)';
/** Nobody's on a machine that is not CodeBuild's. */
const stranger = 61_000;

describe.skipIf(!isRoot)(`what was committed, in CodeBuild${missing}`, () => {
  let endpoint: AwsEndpoint;
  let registry: FakeRegistry;
  let builds: AwsBuilds;
  let artifact: Committed;
  beforeAll(async () => {
    registry = await fakeRegistry();
    endpoint = await makeAwsEndpoint({
      GetLifecyclePolicy: () => ({ lifecyclePolicyText: '{}' }),
      GetAuthorizationToken: () => ({ authorizationData: [{ authorizationToken: 'bG9naW4=' }] }),
      DescribeImages: ({ imageIds: [{ imageTag }] }: { imageIds: [{ imageTag: string }] }) => {
        const pushed = registry.manifests.get(imageTag);
        if (!pushed) throw awsError('ImageNotFoundException');
        return { imageDetails: [{ imageDigest: digestOf(pushed.body), imageSizeInBytes: 123 }] };
      },
    });
    builds = await makeAwsBuilds({ url: endpoint.url, environment: { SLUICE_REGISTRY: registry.host } });
  });
  beforeEach(() => {
    artifact = committed();
    endpoint.calls.length = 0;
    endpoint.objects.clear();
    registry.manifests.clear();
    registry.blobs.clear();
    endpoint.settings.mayList = true;
  });
  afterAll(async () => {
    await builds.remove();
    await endpoint.close();
    await registry.close();
  });
  const store = () => {
    for (const [digest, body] of artifact.blobs) {
      endpoint.objects.set(`the-bucket/${blobKey(digest as Digest)}`, { body, headers: {} });
    }
  };
  const asked = () =>
    [...new Set(endpoint.calls.map((call) => call.replace(/ the-bucket\/blobs\/.*/, ' a blob')))].sort();

  async function imported() {
    const digest = digestOf(artifact.image([await makeLayer({ a: 'a' }), await makeLayer({ b: 'b' })]));
    const manifest = await artifact.manifest({ kind: 'image', digest });
    store();
    const wanted = request({ kind: 'import', import: { artifact: digest, manifest, tag: 'sluice-web:d1' } });
    return { digest, run: async () => await builds.run(wanted) };
  }

  it('is pushed to the app’s repository from the bucket, and keeps its digest', async () => {
    const { digest, run } = await imported();
    const { failure, exported, text } = await run();
    expect(failure, text).toBeUndefined();
    expect(v.parse(artifactResultSchema, JSON.parse(exported['SLUICE_RESULT'] ?? ''))).toMatchObject({
      kind: 'image',
      digest,
      reference: `${registry.host}/sluice/web@${digest}`,
      sizeBytes: 123,
    });
    // What its role must grant, and no more.
    expect(asked()).toEqual([
      'DescribeImages',
      'GET a blob',
      'GetAuthorizationToken',
      'GetLifecyclePolicy',
      'HEAD a blob',
    ]);
  });

  it.each([true, false])(
    'fails with the blob that is not there, and pushes no manifest (may list: %s)',
    async (mayList) => {
      endpoint.settings.mayList = mayList;
      const { run } = await imported();
      const [layer = ''] = [...endpoint.objects.keys()];
      endpoint.objects.delete(layer);
      const { failure, exported } = await run();
      expect(failure?.phase).toBe('build');
      expect(exported['SLUICE_REASON']).toContain(`There is no object sha256:${layer.split('/').at(-1)}`);
      expect(registry.manifests.size).toBe(0);
    },
  );

  async function bundle(): Promise<CheckSpec['artifact']> {
    const digest = artifact.add(gzipSync(await packTar([tarFile('app.txt', 'hello\n')])));
    const made = { kind: 'bundle', digest, manifest: await artifact.manifest({ kind: 'bundle', digest }) } as const;
    store();
    return made;
  }
  const check = async (command: string, more: { timeoutSeconds?: number } = {}) =>
    await builds.run(request({ kind: 'check', check: { name: 'lint', artifact: await bundle(), command } }, more));

  it('is checked by a stranger, who finds the role’s credential nowhere, and of whom nothing is left', async () => {
    const stays = `(setsid sh -c 'trap "" TERM; while :; do sleep 0.2; done' >/dev/null 2>&1 &)`;
    const { failure, exported, text } = await check(`${stays}; cat app.txt; id -u; env
      for file in /proc/[0-9]*/environ ../*; do tr '\\0' '\\n' < "$file"; done 2> refused; touch ../reason; true`);
    expect(failure, text).toBeUndefined();
    expect(JSON.parse(exported['SLUICE_RESULT'] ?? '')).toMatchObject({ kind: 'check', passed: true });
    expect(text).toContain(`hello\n${stranger}\n`);
    for (const value of [...roleSecrets, 'AWS_', 'CODEBUILD_', 'SLUICE_SPEC']) expect(text, value).not.toContain(value);
    expect(await processesOf(stranger)).toEqual([]);
    expect(asked()).toEqual(['GET a blob', 'HEAD a blob']);
  });

  it('does not pass a check that fails, or that takes too long', async () => {
    const failed = await check('echo "line 7 is too long"; exit 3');
    expect(failed.failure?.phase).toBe('build');
    expect(failed.exported).toEqual({ SLUICE_REASON: 'The check lint ended with 3: line 7 is too long' });
    const late = await check('(setsid sleep 300 &) ; sleep 300', { timeoutSeconds: 3 });
    expect(late.exported).toEqual({ SLUICE_REASON: 'The build took longer than its limit of 3 s' });
    expect(await processesOf(stranger)).toEqual([]);
  });
});
