import { GetObjectCommand, HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { Problem } from '../runtime/errors.ts';
import type { Digest } from '../runtime/units.ts';
import { answered, isNamed } from './client.ts';
import { checksumOf, getInput, headInput, type At, type Verified } from './object-requests.ts';

/** The client is made with `transferCalls`. */
export type ObjectsOptions = { readonly client: S3Client; readonly bucket: string };

/** A body that breaks off is asked for again from where it broke; so often in a row without a byte more is the end. */
const fruitlessReads = 3;

/**
 * A call's answer. What S3 refuses because it was damaged on its way (its own checksum did not fit) is told as busy,
 * as is a store that does not answer.
 */
export async function sent<Output>(call: Promise<Output>): Promise<Output> {
  try {
    return await answered('The store of objects', call);
  } catch (cause) {
    if (!isNamed(cause, 'BadDigest')) throw cause;
    throw new Problem('busy', 'The bytes were damaged on their way to the store of objects; try again', { cause });
  }
}

/** Whether a condition did not hold, or another write of the same key was under way. */
export function isConflict(error: unknown): boolean {
  return isNamed(error, 'PreconditionFailed', 'ConditionalRequestConflict', 'NoSuchUpload', 'OperationAborted');
}

/** An object's size and identity. S3 says 404 only to who may list the bucket (`s3:ListBucket`), else 403. */
export async function findObject(client: S3Client, at: At): Promise<(Verified & { checksum?: string }) | undefined> {
  try {
    const head = await sent(client.send(new HeadObjectCommand(headInput(at))));
    // That of an object made of parts is a checksum of checksums, and says nothing of the whole.
    const checksum = head.ChecksumType === 'FULL_OBJECT' ? head.ChecksumSHA256 : undefined;
    const found = { at, etag: head.ETag, sizeBytes: head.ContentLength ?? 0 };
    return checksum === undefined ? found : { ...found, checksum };
  } catch (error) {
    if (isNamed(error, 'NotFound', 'NoSuchKey')) return undefined;
    throw error;
  }
}

/** A blob; throws when S3's own checksum of it is not its name, which nobody can have done by our URLs and calls. */
export async function findBlob(client: S3Client, at: At, digest: Digest): Promise<Verified | undefined> {
  const found = await findObject(client, at);
  if (found?.checksum !== undefined && found.checksum !== checksumOf(digest)) {
    throw new Error(`The object ${at.Key} of the bucket ${at.Bucket} is not the blob that its name says`);
  }
  return found;
}

/**
 * An object's bytes, asked for when the first is read. Throws `Problem('not-found')` when it has gone since its head was
 * read, or is not the one of that ETag any more.
 */
export async function* bytesOf(client: S3Client, object: Verified): AsyncGenerator<Uint8Array> {
  let from = 0;
  let fruitless = 0;
  while (from < object.sizeBytes) {
    const before = from;
    const body = await openBody(client, object, from);
    try {
      for await (const chunk of body) {
        from += chunk.byteLength;
        yield chunk;
      }
      if (from >= object.sizeBytes) return;
      throw new Error('the body ended early');
    } catch (cause) {
      fruitless = from > before ? 0 : fruitless + 1;
      if (fruitless < fruitlessReads) continue;
      throw new Problem('busy', `The object broke off at byte ${from}, again and again; try again`, { cause });
    }
  }
}

async function openBody(client: S3Client, object: Verified, from: number): Promise<AsyncIterable<Uint8Array>> {
  try {
    const { Body } = await sent(client.send(new GetObjectCommand(getInput(object.at, { from, etag: object.etag }))));
    // On Node it is a Readable; the declared type has the browser's, too.
    return Body as unknown as AsyncIterable<Uint8Array>;
  } catch (cause) {
    if (!isNamed(cause, 'NoSuchKey', 'PreconditionFailed', 'InvalidRange')) throw cause;
    throw new Problem('not-found', `There is no object ${object.at.Key} any more`, { cause });
  }
}
