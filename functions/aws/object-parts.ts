import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
  type CompletedPart,
  type S3Client,
} from '@aws-sdk/client-s3';
import { Problem } from '../runtime/errors.ts';
import type { Digest } from '../runtime/units.ts';
import { findBlob, isConflict, sent } from './object-calls.ts';
import { abortInput, completeInput, createUploadInput, partInput, type At, type InUpload } from './object-requests.ts';

const mostParts = 10_000;

/**
 * Sends a blob in parts, one on its way while the next is read, and makes it an object when `check` (after the last
 * part) does not throw. What fails is aborted; what is killed, the bucket's lifecycle aborts.
 */
export async function putBlobInParts(
  client: S3Client,
  blob: {
    readonly at: At;
    readonly digest: Digest;
    readonly parts: AsyncIterable<Buffer>;
    readonly check: () => void;
  },
): Promise<void> {
  await withUpload(client, blob, {
    checked: true,
    onlyIfNew: true,
    send: async (upload) => {
      const parts = await sendParts(client, upload, blob.parts);
      blob.check();
      return parts;
    },
  });
}

/**
 * Opens an upload in parts straight to a blob's key, lets `send` fill it, and completes it: with `onlyIfNew` unless the
 * blob is there already. What is under way is not to be seen under that key.
 */
export async function withUpload(
  client: S3Client,
  blob: { readonly at: At; readonly digest: Digest },
  content: {
    readonly checked: boolean;
    readonly onlyIfNew: boolean;
    readonly send: (upload: InUpload) => Promise<readonly CompletedPart[]>;
  },
): Promise<void> {
  const upload = await createUpload(client, blob.at, content);
  try {
    const parts = await content.send(upload);
    await sent(client.send(new CompleteMultipartUploadCommand(completeInput(upload, parts, content))));
  } catch (error) {
    await abortUpload(client, upload);
    if (!isConflict(error)) throw error;
    // There already: by another, or by us and the answer was lost.
    if (await findBlob(client, blob.at, blob.digest)) return;
    throw new Problem('busy', `The object ${blob.digest} is being written by others; try again`, { cause: error });
  }
}

export async function createUpload(client: S3Client, at: At, kind: { readonly checked: boolean }): Promise<InUpload> {
  const { UploadId } = await sent(client.send(new CreateMultipartUploadCommand(createUploadInput(at, kind))));
  if (UploadId === undefined) throw new Error('S3 began an upload without an id');
  return { ...at, UploadId };
}

/** One that is gone is no error, and one that cannot be aborted now is left to the bucket's lifecycle. */
export async function abortUpload(client: S3Client, upload: InUpload): Promise<void> {
  await client.send(new AbortMultipartUploadCommand(abortInput(upload))).catch(() => undefined);
}

async function sendParts(
  client: S3Client,
  upload: InUpload,
  parts: AsyncIterable<Buffer>,
): Promise<readonly CompletedPart[]> {
  const completed: CompletedPart[] = [];
  let sending: Promise<unknown> = Promise.resolve();
  for await (const bytes of parts) {
    await sending;
    const number = completed.length + 1;
    if (number > mostParts) throw new Problem('too-large', `An object has at most ${mostParts} parts of 8 MiB`);
    const part: CompletedPart = { PartNumber: number };
    completed.push(part);
    sending = sendPart(client, upload, { part, bytes });
    // It is awaited before the next one; until then its failure must not end the process.
    sending.catch(() => undefined);
  }
  await sending;
  return completed;
}

async function sendPart(client: S3Client, upload: InUpload, { part, bytes }: { part: CompletedPart; bytes: Buffer }) {
  const sha256 = createHash('sha256').update(bytes).digest('base64');
  const input = partInput(upload, { number: part.PartNumber ?? 0, bytes, sha256 });
  const { ETag } = await sent(client.send(new UploadPartCommand(input)));
  part.ETag = ETag;
  part.ChecksumSHA256 = sha256;
}
