import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { transferCalls } from '../../functions/aws/client.ts';
import { inParts } from '../../functions/aws/object-body.ts';
import {
  atBlob,
  atUpload,
  checksumOf,
  completeInput,
  copyInput,
  copyPartInput,
  createUploadInput,
  getInput,
  headInput,
  listBlobsInput,
  listPartsInput,
  listUploadsInput,
  partInput,
  putAgainInput,
  putInput,
  signedGetInput,
  signedPartInput,
  signedPutInput,
} from '../../functions/aws/object-requests.ts';
import { s3Objects } from '../../functions/aws/objects.ts';
import type { Objects } from '../../functions/ports/objects.ts';
import type { Digest } from '../../functions/runtime/units.ts';
import { randomBlob, readAll, send } from '../contract/object-blobs.ts';
import { awsError, testAwsConfig } from '../support/scripted-aws.ts';
import { scriptedS3, type ScriptedS3 } from '../support/scripted-s3.ts';

const mebibyte = 1024 ** 2;
const hex = 'ab'.repeat(32);
const digest: Digest = `sha256:${hex}`;
const blobAt = { Bucket: 'b', Key: `blobs/sha256/${hex}` };
const checksum = Buffer.alloc(32, 0xab).toString('base64');

describe('what is asked of S3', () => {
  it('names a blob by its digest, and an upload by whose it is, too', () => {
    expect(atBlob('b', digest)).toEqual(blobAt);
    expect(atUpload('b', { id: 'build-7', digest, sizeBytes: 1 })).toEqual({
      Bucket: 'b',
      Key: `uploads/build-7/${hex}`,
    });
    expect(checksumOf(digest)).toBe(checksum);
  });

  it('puts a blob only where none is, and lets S3 check it', () => {
    const body = new Uint8Array(3);
    expect(putInput(blobAt, digest, body)).toEqual({
      ...blobAt,
      Body: body,
      ContentLength: 3,
      ContentType: 'application/octet-stream',
      ChecksumSHA256: checksum,
      IfNoneMatch: '*',
    });
  });

  it('puts what was received also where it is, and lets S3 check it', () => {
    const { IfNoneMatch: _, ...rest } = putInput(blobAt, digest, new Uint8Array(3));
    expect(putAgainInput(blobAt, digest, new Uint8Array(3))).toEqual(rest);
  });

  it('lists the blobs after a digest, and nothing else', () => {
    const page = { Bucket: 'b', Prefix: 'blobs/sha256/', MaxKeys: 5 };
    expect(listBlobsInput('b', { after: undefined, limit: 5 })).toEqual(page);
    expect(listBlobsInput('b', { after: digest, limit: 5 })).toEqual({ ...page, StartAfter: blobAt.Key });
  });

  it('reads the object whose head was read, from where it broke off', () => {
    expect(headInput(blobAt)).toEqual({ ...blobAt, ChecksumMode: 'ENABLED' });
    expect(getInput(blobAt, { from: 0, etag: '"e"' })).toEqual({ ...blobAt, IfMatch: '"e"' });
    expect(getInput(blobAt, { from: 7, etag: undefined })).toEqual({ ...blobAt, Range: 'bytes=7-' });
  });

  it('signs what lets S3 refuse other bytes, and keeps what is read from being a page', () => {
    expect(signedPutInput(blobAt, digest)).toEqual({ ...blobAt, ChecksumSHA256: checksum });
    expect(signedGetInput(blobAt)).toEqual({
      ...blobAt,
      ResponseContentType: 'application/octet-stream',
      ResponseContentDisposition: 'attachment',
    });
    const upload = { ...blobAt, UploadId: 'u' };
    const part = { number: 2, offsetBytes: 8, sizeBytes: 5 };
    expect(signedPartInput(upload, part)).toEqual({ ...upload, PartNumber: 2, ContentLength: 5 });
  });

  it('sends parts, each with its checksum, and completes them where no blob is', () => {
    const upload = { ...blobAt, UploadId: 'u' };
    const type = { ContentType: 'application/octet-stream' };
    expect(createUploadInput(blobAt, { checked: true })).toEqual({ ...blobAt, ...type, ChecksumAlgorithm: 'SHA256' });
    expect(createUploadInput(blobAt, { checked: false })).toEqual({ ...blobAt, ...type });
    const bytes = new Uint8Array(4);
    expect(partInput(upload, { number: 1, bytes, sha256: 'c' })).toEqual({
      ...upload,
      PartNumber: 1,
      Body: bytes,
      ContentLength: 4,
      ChecksumSHA256: 'c',
    });
    const Parts = [{ PartNumber: 1, ETag: 'e' }];
    expect(completeInput(upload, Parts, { onlyIfNew: true })).toEqual({
      ...upload,
      MultipartUpload: { Parts },
      IfNoneMatch: '*',
    });
    expect(completeInput(upload, Parts, { onlyIfNew: false })).toEqual({ ...upload, MultipartUpload: { Parts } });
    expect(listUploadsInput(blobAt)).toEqual({ Bucket: 'b', Prefix: blobAt.Key });
    expect(listPartsInput(upload, undefined)).toEqual(upload);
    expect(listPartsInput(upload, '5')).toEqual({ ...upload, PartNumberMarker: '5' });
  });

  it('copies the very object that was verified, whole or by ranges', () => {
    const from = { at: { Bucket: 'b', Key: 'uploads/x/y' }, etag: '"e"', sizeBytes: 10 };
    const source = { CopySource: 'b/uploads/x/y', CopySourceIfMatch: '"e"' };
    const copy = { ...blobAt, ...source, ChecksumAlgorithm: 'SHA256' };
    expect(copyInput(from, blobAt, { onlyIfNew: true })).toEqual({ ...copy, IfNoneMatch: '*' });
    expect(copyInput(from, blobAt, { onlyIfNew: false })).toEqual(copy);
    const upload = { ...blobAt, UploadId: 'u' };
    expect(copyPartInput(from, upload, { number: 3, range: [4, 9] })).toEqual({
      ...upload,
      ...source,
      PartNumber: 3,
      CopySourceRange: 'bytes=4-9',
    });
  });
});

describe('a body cut anew', () => {
  it.each([
    [[], 4, ['']],
    [['abc'], 4, ['abc']],
    [['abcd'], 4, ['abcd']],
    [['ab', 'cd', 'e'], 4, ['abcd', 'e']],
    [['abcdefghij'], 4, ['abcd', 'efgh', 'ij']],
    [['', 'abcdefgh', ''], 4, ['abcd', 'efgh']],
  ])('%j by %i is %j', async (chunks, size, pieces) => {
    async function* body(): AsyncGenerator<Uint8Array> {
      for (const chunk of chunks) yield Buffer.from(chunk);
    }
    const cut: string[] = [];
    for await (const piece of inParts(body(), size)) cut.push(piece.toString());
    expect(cut).toEqual(pieces);
  });
});

describe('objects on S3', () => {
  let s3: ScriptedS3;
  let objects: Objects;
  const small = randomBlob(1000);
  const large = randomBlob(2 * 8 * mebibyte + 5);
  beforeEach(async () => {
    s3 = await scriptedS3();
    objects = s3Objects({ client: s3.client, bucket: s3.bucket, clock: Date.now });
  });
  afterEach(async () => await s3.close());
  const keyOf = (blob: { digest: Digest }) => `blobs/sha256/${blob.digest.slice(7)}`;
  const asked = () => s3.asked.map(({ operation }) => operation);
  /** Throws at the first of these calls, instead of asking S3 or instead of its answer. */
  const failing = (operation: string, error: Error, times = 1) => {
    let left = times;
    return (asking: string) => {
      if (asking === operation && (left -= 1) >= 0) throw error;
    };
  };
  const slowDown = awsError('SlowDown', undefined, 503);
  const failed = awsError('InternalError', undefined, 500);

  describe('put in one call', () => {
    it('are put again when S3 throttles', async () => {
      s3.before = failing('PutObject', slowDown);
      expect(await objects.put(small.digest, small.body())).toEqual({ sizeBytes: 1000 });
      expect(asked()).toEqual(['PutObject', 'PutObject']);
    });

    it('are there when the answer was lost', async () => {
      s3.after = failing('PutObject', failed);
      expect(await objects.put(small.digest, small.body())).toEqual({ sizeBytes: 1000 });
      // The second is refused, as the blob is there.
      expect(asked()).toEqual(['PutObject', 'PutObject', 'HeadObject']);
    });

    it('are there when another writes them at the same time', async () => {
      s3.before = (operation) => {
        if (operation !== 'PutObject') return;
        s3.place(keyOf(small), small.bytes);
        throw awsError('ConditionalRequestConflict', undefined, 409);
      };
      expect(await objects.put(small.digest, small.body())).toEqual({ sizeBytes: 1000 });
    });

    it('are put again when the other one failed, and busy when that goes on', async () => {
      const conflict = awsError('ConditionalRequestConflict', undefined, 409);
      s3.before = failing('PutObject', conflict);
      expect(await objects.put(small.digest, small.body())).toEqual({ sizeBytes: 1000 });
      const other = randomBlob(10);
      s3.before = failing('PutObject', conflict, 99);
      await expect(objects.put(other.digest, other.body())).rejects.toMatchObject({ kind: 'busy' });
    });

    it('are put again by who may not list the bucket, and so is told 403 of what is not there', async () => {
      const fates = [awsError('ConditionalRequestConflict', undefined, 409), awsError('Forbidden', undefined, 403)];
      s3.before = () => {
        const fate = fates.shift();
        if (fate) throw fate;
      };
      expect(await objects.put(small.digest, small.body())).toEqual({ sizeBytes: 1000 });
      expect(asked()).toEqual(['PutObject', 'HeadObject', 'PutObject']);
    });

    it('are busy when the bytes are damaged on their way', async () => {
      s3.before = (operation, input) => {
        if (operation === 'PutObject') input.Body = Buffer.alloc(1000);
      };
      await expect(objects.put(small.digest, small.body())).rejects.toMatchObject({ kind: 'busy' });
      expect(s3.keys()).toEqual([]);
    });

    it('ask S3 for nothing when the digest is wrong', async () => {
      await expect(objects.put(small.digest, randomBlob(10).body())).rejects.toMatchObject({ kind: 'invalid' });
      expect(asked()).toEqual([]);
    });
  });

  describe('received', () => {
    it('are put in one call when their digest is known, also over what is there', async () => {
      const expected = { digest: small.digest, sizeBytes: 1000 };
      expect(await objects.receive(small.body())).toEqual(expected);
      expect(await objects.receive(small.body())).toEqual(expected);
      expect(asked()).toEqual(['PutObject', 'PutObject']);
    });

    it('are put again when S3 throttles, or its answer is lost', async () => {
      s3.before = failing('PutObject', slowDown);
      s3.after = failing('PutObject', failed);
      expect(await objects.receive(small.body())).toEqual({ digest: small.digest, sizeBytes: 1000 });
      expect(asked()).toEqual(['PutObject', 'PutObject', 'PutObject']);
      expect(s3.keys()).toEqual([keyOf(small)]);
    });

    it('are busy when the bytes are damaged on their way', async () => {
      s3.before = (_, input) => {
        input.Body = Buffer.alloc(1000);
      };
      await expect(objects.receive(small.body())).rejects.toMatchObject({ kind: 'busy' });
      expect(s3.keys()).toEqual([]);
    });

    it('have at most 8 MiB, and who sends more is told how to', async () => {
      const most = randomBlob(8 * mebibyte);
      expect(await objects.receive(most.body())).toEqual({ digest: most.digest, sizeBytes: most.bytes.length });
      s3.asked.length = 0;
      let given = 0;
      async function* endless(): AsyncGenerator<Uint8Array> {
        for (;;) {
          given += mebibyte;
          yield Buffer.alloc(mebibyte);
        }
      }
      await expect(objects.receive(endless())).rejects.toMatchObject({
        kind: 'too-large',
        message: expect.stringContaining('presigned uploads') as string,
      });
      expect(given).toBe(9 * mebibyte);
      const limited = objects.receive(large.body(), { maxBytes: 100 });
      await expect(limited).rejects.toMatchObject({ kind: 'too-large', message: expect.stringContaining(' 100 ') });
      expect(asked()).toEqual([]);
    });
  });

  describe('listed', () => {
    it('are those alone whose names are digests', async () => {
      s3.place(keyOf(small), small.bytes);
      s3.place('blobs/sha256/readme.txt', small.bytes);
      s3.place('uploads/x/y', small.bytes);
      const { items, next } = await objects.list();
      expect(items).toMatchObject([{ digest: small.digest, sizeBytes: 1000 }]);
      expect(next).toBeUndefined();
    });
  });

  describe('put in parts', () => {
    it('send parts of 8 MiB that S3 checks, and become an object at the end', async () => {
      expect(await objects.put(large.digest, large.body())).toEqual({ sizeBytes: large.bytes.length });
      const parts = s3.asked.filter(({ operation }) => operation === 'UploadPart').map(({ input }) => input);
      expect(parts.map(({ PartNumber, ContentLength }) => [PartNumber, ContentLength])).toEqual([
        [1, 8 * mebibyte],
        [2, 8 * mebibyte],
        [3, 5],
      ]);
      expect(s3.uploads()).toBe(0);
      expect(s3.read(keyOf(large))?.equals(large.bytes)).toBe(true);
      expect(await objects.find(large.digest)).toEqual({ sizeBytes: large.bytes.length });
    });

    it('hold three parts at most', async () => {
      let given = 0;
      let taken = 0;
      let most = 0;
      async function* body(): AsyncGenerator<Uint8Array> {
        for await (const chunk of large.body()) {
          given += chunk.length;
          most = Math.max(most, given - taken);
          yield chunk;
        }
      }
      s3.after = async (operation, input) => {
        // A store that is slower than the body.
        await new Promise((resolve) => setTimeout(resolve, 20));
        if (operation === 'UploadPart') taken += input.ContentLength;
      };
      await objects.put(large.digest, body());
      expect(most).toBeLessThanOrEqual(3 * 8 * mebibyte);
    });

    it.each([
      ['the digest is wrong', async () => await objects.put(small.digest, large.body()), 'invalid'],
      ['there is too much', async () => await objects.put(large.digest, large.body(), { maxBytes: 9e6 }), 'too-large'],
    ])('leave nothing when %s', async (_, put, kind) => {
      await expect(put()).rejects.toMatchObject({ kind });
      expect([s3.keys(), s3.uploads()]).toEqual([[], 0]);
    });

    it('leave nothing when the body breaks off, or S3 fails', async () => {
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield* large.body();
        throw new Error('connection lost');
      }
      await expect(objects.put(large.digest, broken())).rejects.toThrow('connection lost');
      s3.before = failing('UploadPart', awsError('AccessDenied', undefined, 403));
      await expect(objects.put(large.digest, large.body())).rejects.toThrow('AccessDenied');
      expect([s3.keys(), s3.uploads()]).toEqual([[], 0]);
    });

    it('let go of the body when they fail', async () => {
      let ended = false;
      async function* body(): AsyncGenerator<Uint8Array> {
        try {
          for (;;) yield Buffer.alloc(mebibyte);
        } finally {
          ended = true;
        }
      }
      s3.before = failing('CreateMultipartUpload', awsError('AccessDenied', undefined, 403));
      await expect(objects.put(large.digest, body())).rejects.toThrow('AccessDenied');
      expect(ended).toBe(true);
    });

    it('are there when the last answer was lost', async () => {
      s3.after = failing('CompleteMultipartUpload', failed);
      expect(await objects.put(large.digest, large.body())).toEqual({ sizeBytes: large.bytes.length });
      expect(s3.keys()).toEqual([keyOf(large)]);
    });

    it('are there when another was quicker, and leave nothing of their own', async () => {
      s3.before = (operation) => {
        if (operation === 'CompleteMultipartUpload') s3.place(keyOf(large), large.bytes);
      };
      expect(await objects.put(large.digest, large.body())).toEqual({ sizeBytes: large.bytes.length });
      expect(s3.uploads()).toBe(0);
    });
  });

  describe('read', () => {
    beforeEach(() => s3.place(keyOf(large), large.bytes));

    it('go on where they broke off', async () => {
      let breaks = 3;
      s3.stream = async function* (bytes) {
        yield bytes.subarray(0, mebibyte);
        if ((breaks -= 1) >= 0) throw new Error('ECONNRESET');
        yield bytes.subarray(mebibyte);
      };
      expect((await readAll(objects, large.digest)).equals(large.bytes)).toBe(true);
      const ranges = s3.asked.filter(({ operation }) => operation === 'GetObject').map(({ input }) => input.Range);
      expect(ranges).toEqual([undefined, 'bytes=1048576-', 'bytes=2097152-', 'bytes=3145728-']);
    });

    it('go on when a body ends early, and are busy when nothing more comes', async () => {
      s3.stream = async function* (bytes) {
        yield bytes.subarray(0, Math.min(mebibyte, bytes.length - 100));
      };
      await expect(readAll(objects, large.digest)).rejects.toMatchObject({ kind: 'busy' });
    });

    it('go on when the blob is stored again meanwhile', async () => {
      let breaks = 1;
      s3.stream = async function* (bytes) {
        yield bytes.subarray(0, mebibyte);
        s3.place(keyOf(large), large.bytes, { etag: '"another"' });
        if ((breaks -= 1) >= 0) throw new Error('ECONNRESET');
        yield bytes.subarray(mebibyte);
      };
      expect((await readAll(objects, large.digest)).equals(large.bytes)).toBe(true);
    });

    it('end when the blob is removed meanwhile', async () => {
      s3.stream = async function* (bytes) {
        yield bytes.subarray(0, mebibyte);
        await objects.remove(large.digest);
        throw new Error('ECONNRESET');
      };
      await expect(readAll(objects, large.digest)).rejects.toMatchObject({ kind: 'not-found' });
    });

    it('ask for no bytes before they are wanted', async () => {
      await objects.read(large.digest);
      expect(asked()).toEqual(['HeadObject']);
    });
  });

  it('are not found when what lies under a name is another blob', async () => {
    s3.place(keyOf(small), Buffer.from('other'), { checksum: checksumOf(large.digest) });
    await expect(objects.find(small.digest)).rejects.toThrow('is not the blob that its name says');
    await expect(objects.read(small.digest)).rejects.toThrow('is not the blob that its name says');
  });

  it('are not ready, and say why, when the bucket is gone', async () => {
    s3.before = failing('HeadBucket', awsError('NotFound', undefined, 404));
    await expect(objects.ready()).rejects.toThrow('There is no bucket sluice-test');
    s3.before = failing('HeadBucket', slowDown);
    await expect(objects.ready()).resolves.toBeUndefined();
  });

  it('are busy when S3 says nothing', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const requestHandler = { ...transferCalls.requestHandler, requestTimeout: 100 };
    const limits = { ...transferCalls, maxAttempts: 1, requestHandler };
    const client = new S3Client({ ...limits, ...testAwsConfig, endpoint, forcePathStyle: true });
    const waiting = s3Objects({ client, bucket: 'b', clock: Date.now });
    await expect(waiting.find(small.digest)).rejects.toMatchObject({ name: 'Problem', kind: 'busy' });
    await expect(waiting.put(small.digest, small.body())).rejects.toMatchObject({ name: 'Problem', kind: 'busy' });
    silent.closeAllConnections();
    silent.close();
  });

  describe('signed URLs', () => {
    it('name the key, the end and what was signed, by the clock that was given', async () => {
      const clock = () => Date.parse('2026-11-20T12:00:00Z');
      const signing = s3Objects({ client: s3.client, bucket: s3.bucket, clock });
      const url = new URL(await signing.downloadUrl(small.digest, 60));
      expect(url.pathname).toBe(`/${s3.bucket}/${keyOf(small)}`);
      expect(Object.fromEntries(url.searchParams)).toMatchObject({
        'X-Amz-Date': '20261120T120000Z',
        'X-Amz-Expires': '60',
        'X-Amz-SignedHeaders': 'host',
        'response-content-disposition': 'attachment',
      });
    });

    it('for writing sign the checksum as a header, and no other', async () => {
      const { url, headers } = await objects.uploadUrl(small.digest, 60);
      const query = new URL(url).searchParams;
      expect(query.get('X-Amz-SignedHeaders')).toBe('host;x-amz-checksum-sha256');
      expect([...query.keys()].filter((name) => /checksum|algorithm$/i.test(name))).toEqual(['X-Amz-Algorithm']);
      expect(headers).toEqual({ 'x-amz-checksum-sha256': checksumOf(small.digest) });
    });

    it('for writing need that header, and just it', async () => {
      const put = await objects.uploadUrl(small.digest, 60);
      expect((await send({ url: put.url, headers: {} }, small.bytes)).status).toBe(403);
      const other = { 'x-amz-checksum-sha256': checksumOf(large.digest) };
      expect((await send({ url: put.url, headers: other }, small.bytes)).status).toBe(403);
      const more = { ...put.headers, 'x-amz-acl': 'public-read' };
      expect((await send({ url: put.url, headers: more }, small.bytes)).status).toBe(403);
      expect(s3.keys()).toEqual([]);
      expect((await send(put, small.bytes)).status).toBe(200);
    });

    it('end when their time has come', async () => {
      const clock = () => Date.now() - 61_000;
      const past = await s3Objects({ client: s3.client, bucket: s3.bucket, clock }).uploadUrl(small.digest, 60);
      expect((await send(past, small.bytes)).status).toBe(403);
    });
  });
});
