import { DeleteObjectCommand, HeadBucketCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { Objects } from '../ports/objects.ts';
import { wrongDigest } from '../ports/upload-parts.ts';
import { Problem } from '../runtime/errors.ts';
import type { Digest } from '../runtime/units.ts';
import { isNamed } from './client.ts';
import { digestOf, inParts, metered, newMeter } from './object-body.ts';
import { bytesOf, findBlob, isConflict, sent, type ObjectsOptions } from './object-calls.ts';
import { finishUploads } from './object-finish.ts';
import { listObjects } from './object-list.ts';
import { putBlobInParts } from './object-parts.ts';
import { receiveObjects } from './object-receive.ts';
import { atBlob, deleteInput, putInput, type At } from './object-requests.ts';
import { signedGet, signedPut, type SigningOptions } from './object-urls.ts';
import { abandonUploads, openUploads } from './object-uploads.ts';

/** A body is held this much at a time: what is smaller goes in one call, what is larger in parts of it. */
const partBytes = 8 * 1024 ** 2;
/** Two writers of one key can refuse each other; one of the next attempts finds the blob there. */
const putAttempts = 3;

/** The whole Objects port on S3; who needs a part of it takes that, and its role need not grant the rest. */
export function s3Objects(options: SigningOptions): Objects {
  return {
    ...readObjects(options),
    ...writeObjects(options),
    ...receiveObjects(options),
    ...listObjects(options),
    ...removeObjects(options),
    ...openUploads(options),
    ...finishUploads(options),
    ...abandonUploads(options),
    ...objectsReady(options),
    downloadUrl: async (digest, seconds) => await signedGet(options, digest, seconds),
    uploadUrl: async (digest, seconds) => await signedPut(options, digest, seconds),
  };
}

/**
 * Needs `s3:GetObject` on the blobs, and `s3:ListBucket`: without it S3 says 403 of what is not there. A blob that is
 * stored again while it is read has another ETag and the same bytes, so the ETag is not asked for.
 */
export function readObjects({ client, bucket }: ObjectsOptions): Pick<Objects, 'find' | 'read'> {
  return {
    async find(digest) {
      const found = await findBlob(client, atBlob(bucket, digest), digest);
      return found && { sizeBytes: found.sizeBytes };
    },

    async read(digest) {
      const found = await findBlob(client, atBlob(bucket, digest), digest);
      if (!found) throw new Problem('not-found', `There is no object ${digest}`);
      return bytesOf(client, { ...found, etag: undefined });
    },
  };
}

/**
 * A body's length and digest are known when it has ended. So the first 8 MiB are held back: a body that ends there is
 * put whole, and S3 checks its sha256. A longer one goes up in parts, each with a sha256 that S3 checks, hashed as a
 * whole on its way, and becomes an object only when that is right. At most three parts are in memory.
 * Needs `s3:PutObject`, `s3:AbortMultipartUpload` and `s3:GetObject` on the blobs, and `s3:ListBucket`.
 */
export function writeObjects(options: ObjectsOptions): Pick<Objects, 'put'> {
  const { client, bucket } = options;
  return {
    async put(digest, body, { maxBytes = Infinity } = {}) {
      const at = atBlob(bucket, digest);
      const meter = newMeter();
      const check = () => {
        if (digestOf(meter) !== digest) throw wrongDigest(digestOf(meter));
      };
      const parts = inParts(metered(body, meter, maxBytes), partBytes);
      try {
        const first = await parts.next();
        const second = await parts.next();
        if (first.done) throw new Error('a body has at least one piece');
        if (second.done) {
          check();
          await putWhole(options, digest, first.value);
        } else {
          await putBlobInParts(client, { at, digest, parts: concat([first.value, second.value], parts), check });
        }
      } finally {
        // Else whoever gives the body would wait for ever to be asked for more.
        await parts.return(undefined);
      }
      return { sizeBytes: meter.sizeBytes };
    },
  };
}

/** Needs `s3:DeleteObject` on the blobs. */
export function removeObjects({ client, bucket }: ObjectsOptions): Pick<Objects, 'remove'> {
  return {
    async remove(digest) {
      await sent(client.send(new DeleteObjectCommand(deleteInput(atBlob(bucket, digest)))));
    },
  };
}

/**
 * Whether the bucket is there and ours to use (`s3:ListBucket`). Nothing is written: a bucket does not fill up, and
 * this is asked every few seconds.
 */
export function objectsReady({ client, bucket }: ObjectsOptions): Pick<Objects, 'ready'> {
  return {
    async ready() {
      try {
        await sent(client.send(new HeadBucketCommand({ Bucket: bucket })));
      } catch (cause) {
        if (isNamed(cause, 'NotFound', 'NoSuchBucket')) throw new Error(`There is no bucket ${bucket}`, { cause });
        throw cause;
      }
    },
  };
}

async function putWhole({ client, bucket }: ObjectsOptions, digest: Digest, bytes: Uint8Array): Promise<void> {
  const at = atBlob(bucket, digest);
  for (let attempt = 1; ; attempt += 1) {
    try {
      await sent(client.send(new PutObjectCommand(putInput(at, digest, bytes))));
      return;
    } catch (error) {
      if (!isConflict(error)) throw error;
      if (await isThere(client, at, digest)) return;
      if (attempt === putAttempts) throw contended(digest, error);
    }
  }
}

/** Who may not list the bucket, as a build, is told 403 of what is not there (yet). */
async function isThere(client: S3Client, at: At, digest: Digest): Promise<boolean> {
  try {
    return (await findBlob(client, at, digest)) !== undefined;
  } catch (error) {
    const { $metadata } = error as { readonly $metadata?: { readonly httpStatusCode?: number } };
    if ($metadata?.httpStatusCode === 403) return false;
    throw error;
  }
}

function contended(digest: Digest, cause: unknown): Problem {
  return new Problem('busy', `The object ${digest} is being written by others; try again`, { cause });
}

async function* concat<T>(first: readonly T[], rest: AsyncIterable<T>): AsyncGenerator<T> {
  yield* first;
  yield* rest;
}
