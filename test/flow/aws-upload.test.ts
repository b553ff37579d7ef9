import { createHash, createHmac, randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import type { AppInput } from '../../functions/apps/schema.ts';
import { getDeployment } from '../../functions/deployments/store.ts';
import { send } from '../contract/object-blobs.ts';
import { awsCloud, type AwsCloud } from '../support/aws-cloud.ts';
import { imported } from '../support/timed-builds.ts';

type Blob = { readonly name: string; readonly digest: `sha256:${string}`; readonly bytes: Buffer };
type Part = { offsetBytes: number; sizeBytes: number; url: string; headers: Record<string, string> };
type Json = Record<string, unknown>;

const hookSecret = 'marked-secret-of-the-hook';
const checks = [
  { name: 'scan', command: 'test -e artifact.json', required: true },
  { name: 'size', command: 'test 1 -lt 2', required: false },
];
const app: AppInput = {
  source: { repoUrl: 'https://github.com/acme/web' },
  build: { kind: 'image' },
  environments: [
    {
      name: 'dev',
      targets: [{ name: 'one', cluster: 'main', service: 'one', container: 'web' }],
      checks,
      hooks: [{ name: 'chat', url: 'https://chat.example.com/hook', secret: 'hook' }],
    },
  ],
};

/** An image as a tool elsewhere has built it: of a layer that goes in two parts, and one in one. */
function image(layers: readonly Buffer[]): readonly Blob[] {
  const described = (mediaType: string, { digest, bytes }: Blob) => ({ mediaType, digest, size: bytes.length });
  const parts = layers.map(blob);
  const diffs = parts.map(({ digest }) => digest);
  const config = blob(
    JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: diffs } }),
  );
  const manifest = blob(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: described('application/vnd.oci.image.config.v1+json', config),
      layers: parts.map((part) => described('application/vnd.oci.image.layer.v1.tar+gzip', part)),
    }),
  );
  return [manifest, config, ...parts];
}
function blob(content: string | Buffer): Blob {
  const bytes = Buffer.from(content);
  const hex = createHash('sha256').update(bytes).digest('hex');
  return { name: `${hex}.blob`, digest: `sha256:${hex}`, bytes };
}

let cloud: AwsCloud;
afterEach(async () => await cloud.close());

const call = async (method: string, path: string, body?: unknown) => {
  const answer = await cloud.request(method, path, body === undefined ? {} : { body });
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
  return answer.body as Json;
};

async function opened(of: AppInput = app): Promise<void> {
  cloud = await awsCloud({ services: { one: 2 }, buildSeconds: 60 });
  await cloud.apply(of);
  await call('PUT', '/api/v1/apps/web/secrets/hook', { value: hookSecret });
}

async function createBuild(): Promise<number> {
  return (await call('POST', '/api/v1/build', { repo: 'dev', 'app-id': 'web' }))['id'] as number;
}

/** Sends what is missing straight to S3, by the URLs; answers with how many bytes that were. */
async function push(build: number, blobs: readonly Blob[]): Promise<number> {
  const objects = blobs.map(({ name, bytes }) => ({ name, sizeBytes: bytes.length }));
  const answer = await call('POST', `/api/v1/build/${build}/uploads`, { objects });
  let sent = 0;
  for (const { name, parts = [] } of answer['objects'] as { name: string; parts?: Part[] }[]) {
    const { bytes } = blobs.find((one) => one.name === name) ?? { bytes: Buffer.alloc(0) };
    for (const { offsetBytes, sizeBytes, ...put } of parts) {
      const part = bytes.subarray(offsetBytes, offsetBytes + sizeBytes);
      expect((await send(put, part)).status).toBe(200);
      sent += part.length;
    }
  }
  const ref = { ref: 'app/web/x86_64/dev', commit: blobs[0]?.name.slice(0, 64), kind: 'image' };
  await call('POST', `/api/v1/build/${build}/build_ref`, ref);
  return sent;
}

/** Lets time pass until a job has ended. */
async function ended(id: unknown): Promise<Json> {
  await cloud.until(async () => Number((await call('GET', `/api/v1/job/${String(id)}`))['status']) >= 2);
  return await call('GET', `/api/v1/job/${String(id)}`);
}
const resultsOf = (job: Json) => JSON.parse(String(job['results'])) as Json;

async function committed(build: number): Promise<Json> {
  const job = await ended((await call('POST', `/api/v1/build/${build}/commit`, {}))['id']);
  expect(job, String(job['log'])).toMatchObject({ status: 2 });
  await cloud.until(async () => [2, 3].includes((await shown(build))['repo_state'] as number));
  return job;
}
const shown = async (build: number) => await call('GET', `/api/v1/build/${build}`);

async function published(build: number): Promise<string> {
  const job = await ended((await call('POST', `/api/v1/build/${build}/publish`, {}))['id']);
  expect(job, String(job['log'])).toMatchObject({ status: 2 });
  const { deployment } = resultsOf(job) as { deployment: string };
  await cloud.until(async () => (await getDeployment(cloud.ports.records, deployment)).settled);
  return deployment;
}

const running = () => {
  const made = cloud.world.definitions.get(cloud.services['one']?.definition ?? '')?.definition;
  return made?.containerDefinitions?.[0]?.image;
};
const asked = (operation: string) => cloud.asked.filter((entry) => entry.operation === operation);
const kinds = () => cloud.codeBuild.runs.map(({ kind }) => kind);

describe('a build by upload on AWS', () => {
  it('goes straight to S3, is verified, checked, published, imported and rolled out, and its hook told', async () => {
    await opened();
    const blobs = image([randomBytes(9_000_000), randomBytes(100_000)]);
    const build = await createBuild();
    const size = blobs.reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(await push(build, blobs)).toBe(size);
    const artifact = blobs[0]?.digest ?? 'sha256:';
    expect(resultsOf(await committed(build))).toMatchObject({ artifact, kind: 'image', objects: 4, bytes: size });
    expect(await shown(build)).toMatchObject({ repo_state: 2 });
    expect(kinds().sort()).toEqual(['check', 'check']);
    expect(cloud.objects.keys().filter((key) => key.startsWith('uploads/'))).toEqual([]);

    const deployment = await getDeployment(cloud.ports.records, await published(build));
    expect(deployment.state).toMatchObject({ status: 'succeeded' });
    expect(kinds()).toEqual(['check', 'check', 'import']);
    expect(running()).toBe(imported(artifact, 'web').reference);

    // Each build ran as the app's own role, started by the machine whose it is.
    for (const { input } of cloud.codeBuild.runs) expect(input.serviceRoleOverride).toMatch(/sluice-test-build-web$/);
    expect(new Set(asked('StartExecution').map(({ input }) => Object.keys(inputOf(input)).join()))).toEqual(
      new Set(['jobId', 'deploymentId']),
    );
    await cloud.until(() => cloud.sent.length > 0);
    const [hook] = cloud.sent;
    expect(hook?.url).toBe('https://chat.example.com/hook');
    expect(JSON.parse(hook?.body ?? '')).toMatchObject({ data: { app: 'web', environment: 'dev', artifact, build } });
    expect(hook?.headers['webhook-signature']).toBe(signatureOf(hook));
    expect(JSON.stringify([cloud.logged, cloud.events])).not.toContain(hookSecret);
  });

  it('sends only what changed when it is pushed again', async () => {
    await opened({ ...app, environments: [{ ...environment(), checks: [], hooks: [] }] });
    const base = randomBytes(9_000_000);
    const first = await createBuild();
    await push(first, image([base, randomBytes(100_000)]));
    await committed(first);
    await published(first);
    const changed = image([base, randomBytes(50_000)]);
    const second = await createBuild();
    const sent = await push(second, changed);
    const metadata = (changed[0]?.bytes.length ?? 0) + (changed[1]?.bytes.length ?? 0);
    expect(sent).toBe(50_000 + metadata);
    await committed(second);
    await published(second);
    expect(running()).toBe(imported(changed[0]?.digest ?? 'sha256:', 'web').reference);
  });

  it('is not published when a check that is required fails, and says so', async () => {
    await opened();
    cloud.builds.script.checks = (name) => (name === 'scan' ? 'failed' : 'succeeded');
    const build = await createBuild();
    await push(build, image([randomBytes(1000)]));
    await committed(build);
    expect(await shown(build)).toMatchObject({ repo_state: 3 });
    const { checks: told } = await call('GET', `/api/v1/build/${build}/extended`);
    expect(told).toMatchObject([
      { check_name: 'scan', status: 3, status_reason: 'The command exited with code 1' },
      { check_name: 'size', status: 1 },
    ]);
    expect((await cloud.request('POST', `/api/v1/build/${build}/publish`, { body: {} })).status).toBe(400);
    expect(kinds()).not.toContain('import');
  });

  it('is open to be completed when something of it is missing, and every job is begun anew that was lost', async () => {
    await opened({ ...app, environments: [{ ...environment(), checks: [], hooks: [] }] });
    const blobs = image([randomBytes(1000), randomBytes(2000)]);
    const build = await createBuild();
    await push(build, blobs.slice(0, 3));
    const job = await ended((await call('POST', `/api/v1/build/${build}/commit`, {}))['id']);
    expect(job).toMatchObject({ status: 3 });
    expect(job['log']).toContain(`${blobs[3]?.name} is missing`);
    await push(build, blobs);
    const again = await call('POST', `/api/v1/build/${build}/commit`, {});
    for (const arn of cloud.jobs.executions.keys()) cloud.jobs.lose(arn);
    expect(await ended(again['id'])).toMatchObject({ status: 2 });
    expect(await shown(build)).toMatchObject({ repo_state: 2 });
  });
});

function environment() {
  const [found] = app.environments;
  if (!found) throw new Error('the app has an environment');
  return found;
}

function inputOf(started: unknown): object {
  return JSON.parse((started as { readonly input: string }).input) as object;
}

function signatureOf(hook: AwsCloud['sent'][number] | undefined): string {
  const signed = `${hook?.headers['webhook-id']}.${hook?.headers['webhook-timestamp']}.${hook?.body}`;
  return `v1,${createHmac('sha256', hookSecret).update(signed).digest('base64')}`;
}
