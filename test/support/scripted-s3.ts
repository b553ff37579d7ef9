import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { S3Client } from '@aws-sdk/client-s3';
import { transferCalls } from '../../functions/aws/client.ts';
import { awsError, scriptAws, testAwsConfig } from './scripted-aws.ts';
import { isSignedFor } from './sigv4-query.ts';

/**
 * S3 in memory, as far as the Objects port asks it: what its documents say of conditions, checksums and parts.
 * The SDK's calls are answered by script; the URLs it signs, over HTTP, and their signatures are verified. An emulator
 * that none of us wrote checks us against it in test/aws.
 */
type Stored = {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly checksum?: string;
  readonly composite?: boolean;
  readonly storedAt: Date;
};
type Multipart = { readonly key: string; readonly checked: boolean; readonly parts: Map<number, Stored> };
// oxlint-disable-next-line typescript/no-explicit-any
type Input = any;

/** Comes before an operation; throws what S3 is to answer, or does something behind the caller's back. */
export type Fault = (operation: string, input: Input) => unknown;
/** Comes when an operation is done; throws what the caller gets instead of its answer. */
export type LostAnswer = (operation: string, input: Input) => unknown;

export type ScriptedS3 = {
  readonly client: S3Client;
  readonly bucket: string;
  /** The keys of the objects, in order. */
  keys(): string[];
  uploads(): number;
  /** Puts an object there as it is. */
  place(key: string, bytes: Buffer, options?: { checksum?: string; etag?: string }): void;
  read(key: string): Buffer | undefined;
  /** What was asked so far. */
  readonly asked: { operation: string; input: Input }[];
  /** Set by a test; undefined: nothing. */
  before: Fault | undefined;
  after: LostAnswer | undefined;
  /** How GetObject gives its bytes; default: in chunks of 64 KiB. */
  stream: (bytes: Buffer) => AsyncIterable<Uint8Array>;
  close(): Promise<void>;
};

export async function scriptedS3(bucket = 'sluice-test'): Promise<ScriptedS3> {
  const objects = new Map<string, Stored>();
  const uploads = new Map<string, Multipart>();
  const operations = operationsOf(bucket, { objects, uploads });
  const server = createServer((request, response) => void answerUrl(request, response, { bucket, operations }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new S3Client({ ...transferCalls, ...testAwsConfig, endpoint, forcePathStyle: true });
  const s3: ScriptedS3 = {
    client,
    bucket,
    keys: () => [...objects.keys()].sort(),
    uploads: () => uploads.size,
    place: (key, bytes, options = {}) => void objects.set(key, { ...storedOf(bytes), ...options }),
    read: (key) => objects.get(key)?.bytes,
    asked: [],
    before: undefined,
    after: undefined,
    stream: chunked,
    async close() {
      client.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  scriptAws(client, async (operation, input) => {
    s3.asked.push({ operation, input });
    await s3.before?.(operation, input);
    const output = operations(operation, input);
    await s3.after?.(operation, input);
    return output instanceof Buffer ? { Body: Readable.from(s3.stream(output)) } : output;
  });
  return s3;
}

type Store = { readonly objects: Map<string, Stored>; readonly uploads: Map<string, Multipart> };

function operationsOf(bucket: string, { objects, uploads }: Store) {
  /** https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html */
  function checkConditions(input: Input): void {
    if (input.IfNoneMatch === '*' && objects.has(input.Key)) throw awsError('PreconditionFailed', undefined, 412);
  }
  function getObject(input: Input): Stored {
    const object = objects.get(input.Key);
    if (!object) throw awsError('NoSuchKey', undefined, 404);
    if (input.IfMatch && input.IfMatch !== object.etag) throw awsError('PreconditionFailed', undefined, 412);
    return object;
  }
  function source(input: Input): Stored {
    return getObject({ Key: input.CopySource.slice(bucket.length + 1), IfMatch: input.CopySourceIfMatch });
  }
  function getUpload(input: Input): Multipart {
    const upload = uploads.get(input.UploadId);
    if (upload?.key !== input.Key || !upload) throw awsError('NoSuchUpload', undefined, 404);
    return upload;
  }
  const byName: Record<string, (input: Input) => unknown> = {
    HeadBucket: () => ({}),
    PutObject(input) {
      checkConditions(input);
      const object = verified(input);
      objects.set(input.Key, object);
      return { ETag: object.etag };
    },
    HeadObject(input) {
      const object = objects.get(input.Key);
      if (!object) throw awsError('NotFound', undefined, 404);
      const { checksum: ChecksumSHA256, composite } = object;
      return {
        ContentLength: object.bytes.length,
        ETag: object.etag,
        ...(ChecksumSHA256 ? { ChecksumSHA256, ChecksumType: composite ? 'COMPOSITE' : 'FULL_OBJECT' } : {}),
      };
    },
    GetObject(input) {
      const { bytes } = getObject(input);
      const [, from = '0', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(input.Range ?? 'bytes=0-') ?? [];
      if (input.Range && Number(from) >= bytes.length) throw awsError('InvalidRange', undefined, 416);
      return bytes.subarray(Number(from), to === '' ? undefined : Number(to) + 1);
    },
    /** At most 1000 a page, by the bytes of their keys. */
    ListObjectsV2(input) {
      const all = [...objects].filter(([key]) => key.startsWith(input.Prefix) && key > (input.StartAfter ?? ''));
      const page = all.sort(([one], [other]) => (one < other ? -1 : 1)).slice(0, Math.min(input.MaxKeys, 1000));
      const Contents = page.map(([Key, { bytes, storedAt }]) => ({ Key, Size: bytes.length, LastModified: storedAt }));
      return { IsTruncated: all.length > page.length, ...(Contents.length > 0 ? { Contents } : {}) };
    },
    DeleteObject(input) {
      objects.delete(input.Key);
      return {};
    },
    CopyObject(input) {
      const { bytes } = source(input);
      checkConditions(input);
      const object = { ...storedOf(bytes), checksum: sha256(bytes) };
      objects.set(input.Key, object);
      return { CopyObjectResult: { ETag: object.etag } };
    },
    CreateMultipartUpload(input) {
      const UploadId = randomUUID();
      uploads.set(UploadId, { key: input.Key, checked: input.ChecksumAlgorithm === 'SHA256', parts: new Map() });
      return { UploadId };
    },
    UploadPart(input) {
      const upload = getUpload(input);
      // Who announced sha256 must give it with each part.
      if (upload.checked && !input.ChecksumSHA256) throw awsError('InvalidRequest');
      const part = verified(input);
      upload.parts.set(input.PartNumber, part);
      return { ETag: part.etag };
    },
    UploadPartCopy(input) {
      const upload = getUpload(input);
      const { bytes } = source(input);
      const [, from = '0', to = '0'] = /^bytes=(\d+)-(\d+)$/.exec(input.CopySourceRange) ?? [];
      if (Number(to) >= bytes.length) throw awsError('InvalidRange', undefined, 416);
      const part = storedOf(bytes.subarray(Number(from), Number(to) + 1));
      upload.parts.set(input.PartNumber, part);
      return { CopyPartResult: { ETag: part.etag } };
    },
    /** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html */
    CompleteMultipartUpload(input) {
      const upload = getUpload(input);
      checkConditions(input);
      const wanted: { PartNumber: number; ETag: string; ChecksumSHA256?: string }[] = input.MultipartUpload.Parts;
      if (wanted.length === 0) throw awsError('MalformedXML');
      const parts = wanted.map((one, index) => {
        const part = upload.parts.get(one.PartNumber);
        if (!part || part.etag !== one.ETag) throw awsError('InvalidPart');
        if (upload.checked && part.checksum !== one.ChecksumSHA256) throw awsError('InvalidPart');
        if (index > 0 && one.PartNumber <= (wanted[index - 1]?.PartNumber ?? 0)) throw awsError('InvalidPartOrder');
        return part.bytes;
      });
      const bytes = Buffer.concat(parts);
      const etag = `"${randomUUID()}-${parts.length}"`;
      const sums = upload.checked ? { checksum: `${sha256(bytes)}-${parts.length}`, composite: true } : {};
      objects.set(upload.key, { bytes, etag, storedAt: new Date(), ...sums });
      uploads.delete(input.UploadId);
      return { ETag: etag };
    },
    AbortMultipartUpload(input) {
      getUpload(input);
      uploads.delete(input.UploadId);
      return {};
    },
    ListMultipartUploads(input) {
      const found = [...uploads].filter(([, { key }]) => key.startsWith(input.Prefix));
      return found.length > 0 ? { Uploads: found.map(([UploadId, { key }]) => ({ UploadId, Key: key })) } : {};
    },
    /** Two to a page, so that every listing has several. */
    ListParts(input) {
      const all = [...getUpload(input).parts].sort(([one], [other]) => one - other);
      const rest = all.filter(([number]) => number > Number(input.PartNumberMarker ?? 0));
      const page = rest.slice(0, 2);
      return {
        Parts: page.map(([PartNumber, part]) => ({ PartNumber, ETag: part.etag, Size: part.bytes.length })),
        ...(rest.length > 2 ? { IsTruncated: true, NextPartNumberMarker: String(page.at(-1)?.[0]) } : {}),
      };
    },
  };
  return (operation: string, input: Input): unknown => {
    if (input.Bucket !== bucket) throw awsError('NoSuchBucket', undefined, 404);
    const run = byName[operation];
    if (!run) throw new Error(`S3 was asked for ${operation}, which it was not taught`);
    return run(input);
  };
}

type Operations = ReturnType<typeof operationsOf>;

/** Answers a URL that was signed: GetObject, PutObject, UploadPart. */
async function answerUrl(
  request: IncomingMessage,
  response: ServerResponse,
  { bucket, operations }: { bucket: string; operations: Operations },
): Promise<void> {
  const url = new URL(request.url ?? '', `http://${request.headers.host ?? ''}`);
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    return;
  }
  const { accessKeyId, secretAccessKey } = testAwsConfig.credentials;
  if (!isSignedFor(request, url, { accessKeyId, secretAccessKey })) return void response.writeHead(403).end();
  const input = {
    Bucket: bucket,
    Key: decodeURIComponent(url.pathname).slice(`/${bucket}/`.length),
    Body: Buffer.concat(chunks),
    ChecksumSHA256: request.headers['x-amz-checksum-sha256'],
    UploadId: url.searchParams.get('uploadId'),
    PartNumber: Number(url.searchParams.get('partNumber')),
    ...(request.headers.range ? { Range: request.headers.range } : {}),
  };
  try {
    if (request.method === 'GET') return answerBytes(response, operations('GetObject', input) as Buffer, input);
    operations(input.UploadId === null ? 'PutObject' : 'UploadPart', input);
    response.writeHead(200).end();
  } catch (error) {
    const { $metadata } = error as { $metadata?: { httpStatusCode: number } };
    response.writeHead($metadata?.httpStatusCode ?? 500).end(String(error));
  }

  function answerBytes(to: ServerResponse, bytes: Buffer, { Key, Range }: { Key: string; Range?: string }): void {
    const size = (operations('HeadObject', { Bucket: bucket, Key }) as { ContentLength: number }).ContentLength;
    const from = Number(/\d+/.exec(Range ?? '0')?.[0]);
    const range = { 'content-range': `bytes ${from}-${from + bytes.length - 1}/${size}` };
    to.writeHead(Range ? 206 : 200, Range ? range : {}).end(bytes);
  }
}

/** S3 compares the bytes with the sha256 that comes with them. */
function verified(input: Input): Stored {
  const bytes = Buffer.from(input.Body);
  if (input.ChecksumSHA256 === undefined) return storedOf(bytes);
  if (input.ChecksumSHA256 !== sha256(bytes)) throw awsError('BadDigest');
  return { ...storedOf(bytes), checksum: input.ChecksumSHA256 };
}

function storedOf(bytes: Buffer): Stored {
  return { bytes, etag: `"${createHash('md5').update(bytes).digest('hex')}"`, storedAt: new Date() };
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('base64');
}

async function* chunked(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}
