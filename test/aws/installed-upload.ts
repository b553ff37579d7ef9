import { createHash, randomBytes } from 'node:crypto';
import { request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { DeleteBucketPolicyCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { packTar } from 'modern-tar';
import { beforeAll, expect, it, vi } from 'vitest';
import { adminTokenSecret, secretName } from '../../functions/runtime/aws-names.ts';
import { liveAlias, functionName } from '../../infra/names.ts';
import { stages } from '../../infra/stages.ts';
import { send } from '../contract/object-blobs.ts';
import type { Installed } from './installation.ts';
import { installedIn } from './read-installed.ts';

const { prefix } = stages.production;
type Job = { readonly id: number; readonly status: number; readonly results?: string; readonly log: string };
type Part = { offsetBytes: number; sizeBytes: number; url: string; headers: Record<string, string> };

/** A build by upload, from its creation to the deployment that its publication starts. */
export function installedUpload(installed: () => Installed, bucketName: () => string): void {
  let adminToken = '';
  let bucket = '';
  let build = 0;
  let bundle: Buffer;
  let hex = '';

  beforeAll(async () => {
    const { config } = installed().emulator;
    const secret = new GetSecretValueCommand({ SecretId: secretName(prefix, adminTokenSecret) });
    adminToken = (await new SecretsManagerClient(config).send(secret)).SecretString ?? '';
    bucket = bucketName();
    // The emulator speaks no TLS, and the bucket's policy lets nobody in without it: the roles' own rights hold as before.
    await new S3Client(config).send(new DeleteBucketPolicyCommand({ Bucket: bucket }));
    // It does not compress, so there are two parts of it.
    const noise = randomBytes(9_000_000);
    const entries = [{ header: { name: 'noise', size: noise.length, type: 'file' as const }, body: noise }];
    bundle = gzipSync(await packTar(entries));
    hex = createHash('sha256').update(bundle).digest('hex');
  });

  async function call<Answer>(method: string, path: string, body?: object | FormData): Promise<Answer> {
    const isJson = body !== undefined && !(body instanceof FormData);
    const answer = await fetch(installed().installation.url(path), {
      method,
      headers: { authorization: `Bearer ${adminToken}`, ...(isJson ? { 'content-type': 'application/json' } : {}) },
      ...(body === undefined ? {} : { body: isJson ? JSON.stringify(body) : body }),
    });
    const told = await answer.text();
    expect(answer.status, `${told} ${(await installed().emulator.log()).slice(-3000)}`).toBeLessThan(300);
    return JSON.parse(told) as Answer;
  }

  async function ended({ id }: Job): Promise<Job> {
    return await vi.waitFor(
      async () => {
        const job = await call<Job>('GET', `/api/v1/job/${id}`);
        expect(job.status).toBeGreaterThanOrEqual(2);
        return job;
      },
      { timeout: 60_000, interval: 500 },
    );
  }

  it('takes what is small through the API, and gives URLs to S3 for the rest', async () => {
    await call('PUT', '/api/v1/apps/parcel', {
      source: { repoUrl: 'https://github.com/acme/parcel' },
      build: { kind: 'bundle' },
      runtime: { command: ['./run'] },
      environments: [{ name: 'dev', targets: [{ name: 'web', cluster: 'main', service: 'parcel' }] }],
    });
    build = (await call<{ id: number }>('POST', '/api/v1/build', { repo: 'dev', 'app-id': 'parcel' })).id;
    const small = Buffer.from('a note');
    const name = `${createHash('sha256').update(small).digest('hex')}.blob`;
    const form = new FormData();
    form.append('file0', new globalThis.Blob([small]), name);
    expect(await call('POST', `/api/v1/build/${build}/upload`, form)).toEqual([6]);

    const objects = [{ name: `${hex}.blob`, sizeBytes: bundle.length }];
    const opened = await call<{ objects: { parts: Part[] }[] }>('POST', `/api/v1/build/${build}/uploads`, { objects });
    const { parts } = opened.objects[0] ?? { parts: [] };
    expect(parts).toHaveLength(2);
    for (const { offsetBytes, sizeBytes, ...put } of parts)
      expect((await send(put, bundle.subarray(offsetBytes, offsetBytes + sizeBytes))).status).toBe(200);
  });

  /** Stock clients say that it is JSON as well: the emulator then takes it for text, and damages it. */
  it('says what is missing to a GET with a body packed by gzip, as our client asks', async () => {
    const other = `${'0'.repeat(64)}.blob`;
    const path = installed().installation.url(`/api/v1/build/${build}/missing_objects`);
    const body = gzipSync(JSON.stringify({ wanted: [other] }));
    const headers = {
      authorization: `Bearer ${adminToken}`,
      'content-encoding': 'gzip',
      'content-length': body.length,
    };
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const asking = request(path, { method: 'GET', headers }, resolve);
      asking.once('error', reject);
      asking.end(body);
    });
    expect([answer.statusCode, JSON.parse(await text(answer))]).toEqual([200, { missing: [other] }]);
  });

  it('commits by a job of the second state machine, whose steps verify what was sent', async () => {
    await call('POST', `/api/v1/build/${build}/build_ref`, { ref: 'app/parcel/x86_64/dev', commit: hex });
    const job = await ended(await call<Job>('POST', `/api/v1/build/${build}/commit`, { 'drop-strays': true }));
    expect(job, job.log).toMatchObject({ status: 2 });
    expect(JSON.parse(job.results ?? '')).toMatchObject({ artifact: `sha256:${hex}`, kind: 'bundle' });
    const client = new S3Client(installed().emulator.config);
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
    const keys = Contents.map(({ Key = '' }) => Key);
    expect(keys).toContain(`blobs/sha256/${hex}`);
    expect(keys.filter((key) => key.startsWith('uploads/'))).toEqual([]);
  });

  it('publishes, and starts the deployment', async () => {
    const job = await ended(await call<Job>('POST', `/api/v1/build/${build}/publish`, {}));
    expect(job, job.log).toMatchObject({ status: 2 });
    const { deployment } = JSON.parse(job.results ?? '') as { deployment: string };
    const isOfIt = { app: 'parcel', environment: 'dev', artifact: { digest: `sha256:${hex}` } };
    const resolved = async () => {
      expect(await call<object>('GET', `/api/v1/deployments/${deployment}`)).toMatchObject(isOfIt);
    };
    await vi.waitFor(resolved, { timeout: 60_000, interval: 500 });
  });

  it('prunes what nothing names any more, with the rights of the steps', async () => {
    const job = await ended(await call<Job>('POST', '/api/v1/prune', {}));
    expect(job, job.log).toMatchObject({ status: 2 });
  });
}

/** The bucket by the settings of a function. */
export async function bucketOf(installed: Installed): Promise<string> {
  const { Environment } = await installedIn(installed.emulator).functionConfiguration(
    functionName(prefix, 'api'),
    liveAlias,
  );
  return Environment.Variables['SLUICE_BUCKET'] ?? '';
}
