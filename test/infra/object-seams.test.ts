import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { finishUploads } from '../../functions/aws/object-finish.ts';
import { listObjects } from '../../functions/aws/object-list.ts';
import { receiveObjects } from '../../functions/aws/object-receive.ts';
import { abandonUploads, openUploads } from '../../functions/aws/object-uploads.ts';
import { objectsReady, readObjects, removeObjects, writeObjects } from '../../functions/aws/objects.ts';
import type { Upload } from '../../functions/ports/objects.ts';
import { randomBlob, readAll, send } from '../contract/object-blobs.ts';
import { scriptedS3, type ScriptedS3 } from '../support/scripted-s3.ts';
import { allows, type Call } from './policy.ts';
import { flat, listOf, resourceOf, statementsOf, templateOf } from './stand-in.ts';

/**
 * What the two functions that have objects ask of the bucket, and what their roles in the template allow: each call with
 * its key. A URL that is signed has the rights of who signed it.
 */
const bucket = 'artifacts';
const onObject: Readonly<Record<string, string>> = {
  HeadObject: 's3:GetObject',
  GetObject: 's3:GetObject',
  PutObject: 's3:PutObject',
  CreateMultipartUpload: 's3:PutObject',
  UploadPart: 's3:PutObject',
  CompleteMultipartUpload: 's3:PutObject',
  CopyObject: 's3:PutObject',
  UploadPartCopy: 's3:PutObject',
  AbortMultipartUpload: 's3:AbortMultipartUpload',
  ListParts: 's3:ListMultipartUploadParts',
  DeleteObject: 's3:DeleteObject',
};
const onBucket: Readonly<Record<string, string>> = {
  HeadBucket: 's3:ListBucket',
  ListObjectsV2: 's3:ListBucket',
  ListMultipartUploads: 's3:ListBucketMultipartUploads',
};

/** What IAM is asked for a call. https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html */
function permissionsOf({ operation, input }: ScriptedS3['asked'][number]): readonly Call[] {
  const arn = `arn:aws:s3:::<bucket>`;
  const whole = onBucket[operation];
  if (whole !== undefined) return [{ action: whole, resource: arn }];
  const action = onObject[operation];
  if (action === undefined) throw new Error(`Nobody said what ${operation} needs`);
  const { Key, CopySource } = input as { readonly Key: string; readonly CopySource?: string };
  const source = CopySource?.slice(bucket.length + 1);
  return [
    { action, resource: `${arn}/${Key}` },
    ...(source === undefined ? [] : [{ action: 's3:GetObject', resource: `${arn}/${source}` }]),
  ];
}

describe('what is asked of the bucket', () => {
  let s3: ScriptedS3;
  const template = templateOf();
  beforeAll(async () => {
    s3 = await scriptedS3(bucket);
  });
  afterAll(async () => await s3.close());

  function refusedTo(name: string): readonly Call[] {
    const statements = statementsOf(resourceOf(template, 'AWS::IAM::Role', `Functions${name}Role`)).map((one) => ({
      ...one,
      Resource: listOf(one.Resource).map((resource) =>
        flat(resource).replace(/^<Artifacts\w+\.Arn>/, 'arn:aws:s3:::<bucket>'),
      ),
    }));
    const asked = s3.asked.splice(0);
    expect(asked.length).toBeGreaterThan(10);
    return asked.flatMap(permissionsOf).filter((call) => !allows(statements, call));
  }

  it('by the API its role allows, and by the steps theirs, from an upload to its end', async () => {
    const options = { client: s3.client, bucket, clock: Date.now };
    const ofApi = {
      ...readObjects(options),
      ...writeObjects(options),
      ...receiveObjects(options),
      ...openUploads(options),
      ...abandonUploads(options),
      ...objectsReady(options),
    };
    const ofSteps = {
      ...readObjects(options),
      ...writeObjects(options),
      ...finishUploads({ ...options, copyPieceBytes: 6_000_000 }),
      ...abandonUploads(options),
      ...listObjects(options),
      ...removeObjects(options),
    };
    const [small, large] = [randomBlob(1000), randomBlob(9_000_000)];
    const upload = { id: 'build-7', digest: large.digest, sizeBytes: large.bytes.length };
    await ofApi.ready();
    await ofApi.receive(small.body());
    await ofApi.put(large.digest, large.body());
    await readAll(ofApi, small.digest);
    await ofApi.openUpload({ ...upload, id: 'build-8' }, { seconds: 60, proof: true });
    await ofApi.abandonUpload({ ...upload, id: 'build-8' });
    const opened: Upload = await ofApi.openUpload(upload, { seconds: 60, proof: true });
    for (const part of opened.status === 'open' ? opened.missing : [])
      await send(part.put, large.bytes.subarray(part.offsetBytes, part.offsetBytes + part.sizeBytes));
    await ofApi.openUpload(upload, { seconds: 60, proof: true });
    expect(refusedTo('api')).toEqual([]);

    await ofSteps.finishUpload(upload, { proof: true });
    await ofSteps.abandonUpload(upload);
    await readAll(ofSteps, large.digest);
    await ofSteps.put(small.digest, small.body());
    await ofSteps.list();
    await ofSteps.remove(large.digest);
    expect(s3.asked.map(({ operation }) => operation)).toContain('UploadPartCopy');
    expect(refusedTo('workflow')).toEqual([]);
  });

  it('would be refused elsewhere: the API removes no blob, and neither touches host keys', async () => {
    const remove = { operation: 'DeleteObject', input: { Key: 'blobs/sha256/x' } };
    const keys = { operation: 'GetObject', input: { Key: 'known-hosts/web' } };
    s3.asked.push(...Array.from({ length: 6 }, () => [remove, keys]).flat());
    expect(refusedTo('api')).toHaveLength(12);
    s3.asked.push(...Array.from({ length: 6 }, () => [remove, keys]).flat());
    expect(refusedTo('workflow')).toHaveLength(6);
  });
});
