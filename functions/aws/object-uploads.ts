import {
  CompleteMultipartUploadCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  type Part,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { Objects, UploadPart, UploadRef } from '../ports/objects.ts';
import { checkUpload, defaultMostParts, missingParts, partsOf, wrongDigest } from '../ports/upload-parts.ts';
import { Problem } from '../runtime/errors.ts';
import { isNamed } from './client.ts';
import { digestOf, metered, newMeter } from './object-body.ts';
import { bytesOf, findBlob, findObject, isConflict, sent } from './object-calls.ts';
import { copyToBlob } from './object-copy.ts';
import { abortUpload, createUpload } from './object-parts.ts';
import {
  atBlob,
  atUpload,
  completeInput,
  deleteInput,
  listPartsInput,
  listUploadsInput,
  type At,
  type InUpload,
  type Verified,
} from './object-requests.ts';
import { signedPart, type SigningOptions } from './object-urls.ts';

/**
 * Uploads in parts, kept by S3 alone: the parts are one multipart upload to `uploads/<id>/<hex>`, and so who resumes
 * needs nothing but the upload's name.
 *
 * S3 verifies a sha256 of what comes in one call, but of an object made of parts only a checksum of checksums, or a CRC.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
 * So a finished upload becomes an object under `uploads/`, is read and hashed there, and only then copied to the blob's
 * key, within S3. That costs one GET and one copy of each GiB (fractions of a cent, nothing for the bytes within a
 * region) and the time to read it, about 10 s a GiB in a Lambda function; memory stays flat.
 *
 * With `proof` the object under `uploads/` stays until the upload is abandoned, or the lifecycle clears it: it is what
 * shows, when asked again, that these bytes were sent.
 *
 * Two who open an upload at the very same time may begin two with S3. Then the fuller one counts, and the bucket's
 * lifecycle clears the other.
 */
export function transferObjects(
  options: SigningOptions & { readonly copyPieceBytes?: number },
): Pick<Objects, 'openUpload' | 'finishUpload' | 'abandonUpload'> {
  const { client, bucket } = options;
  return {
    async openUpload(ref, { seconds, mostParts = defaultMostParts, proof = false }) {
      checkUpload(ref);
      const stored = proof ? undefined : await findBlob(client, atBlob(bucket, ref.digest), ref.digest);
      if (stored) return { status: 'stored', sizeBytes: stored.sizeBytes };
      const parts = partsOf(ref.sizeBytes);
      const at = atUpload(bucket, ref);
      // Completed, and whoever did so was killed before it was verified.
      if (await findObject(client, at))
        return { status: 'open', partCount: parts.length, missingCount: 0, missing: [] };
      const found = await findUpload(client, at, parts);
      const upload = found?.upload ?? (await createUpload(client, at, { checked: false }));
      const missing = found?.missing ?? parts;
      const signed = missing.slice(0, mostParts).map(async (part) => ({
        ...part,
        put: await signedPart(options, upload, { part, seconds }),
      }));
      return {
        status: 'open',
        partCount: parts.length,
        missingCount: missing.length,
        missing: await Promise.all(signed),
      };
    },

    async finishUpload(ref, { proof = false } = {}) {
      checkUpload(ref);
      const blob = { at: atBlob(bucket, ref.digest), digest: ref.digest };
      const places = { at: atUpload(bucket, ref), blob, proof };
      if (proof) return { sizeBytes: await finish(options, ref, places) };
      const sizeBytes =
        (await findBlob(client, blob.at, ref.digest))?.sizeBytes ?? (await finish(options, ref, places));
      await clear(client, places.at);
      return { sizeBytes };
    },

    async abandonUpload(ref) {
      checkUpload(ref);
      await clear(client, atUpload(bucket, ref));
    },
  };
}

type Places = {
  readonly at: At;
  readonly blob: { readonly at: At; readonly digest: UploadRef['digest'] };
  readonly proof: boolean;
};

async function finish(
  { client, copyPieceBytes }: SigningOptions & { readonly copyPieceBytes?: number },
  ref: UploadRef,
  { at, blob, proof }: Places,
): Promise<number> {
  try {
    const whole = (await findObject(client, at)) ?? (await complete(client, ref, at));
    await verify(client, ref, whole);
    await copyToBlob(client, whole, { ...blob, pieceBytes: copyPieceBytes, renew: proof });
    return whole.sizeBytes;
  } catch (error) {
    const isOurs = !isConflict(error) && !isNamed(error, 'NoSuchKey') && !isKind(error, 'not-found', 'conflict');
    if (isOurs) throw error;
    // Another who finished it at the same time may have done so and cleared up, or found it wrong.
    const stored = proof ? undefined : await findBlob(client, blob.at, blob.digest);
    if (stored) return stored.sizeBytes;
    throw isKind(error, 'conflict') ? error : interfered(error);
  }
}

async function verify(client: S3Client, ref: UploadRef, whole: Verified): Promise<void> {
  const meter = newMeter();
  for await (const chunk of metered(bytesOf(client, whole), meter, ref.sizeBytes)) void chunk;
  if (digestOf(meter) === ref.digest) return;
  await clear(client, whole.at);
  throw wrongDigest(digestOf(meter));
}

/** Makes one object of the parts; throws `Problem('conflict')` naming those that are missing. */
async function complete(client: S3Client, ref: UploadRef, at: At): Promise<Verified> {
  const parts = partsOf(ref.sizeBytes);
  const found = await findUpload(client, at, parts);
  if (!found) {
    // Never opened; or another has just completed it.
    const whole = await findObject(client, at);
    if (whole) return whole;
    throw missingParts(parts);
  }
  if (found.missing.length > 0) throw missingParts(found.missing);
  // Others may be there of one who announced another size.
  const completed = found.there
    .filter(({ PartNumber = 0 }) => PartNumber <= parts.length)
    .map(({ PartNumber, ETag }) => ({ PartNumber, ETag }));
  try {
    await sent(
      client.send(new CompleteMultipartUploadCommand(completeInput(found.upload, completed, { onlyIfNew: false }))),
    );
  } catch (error) {
    // By another, or by us and the answer was lost; or a part was sent again since.
    if (!isNamed(error, 'NoSuchUpload', 'InvalidPart')) throw error;
  }
  const whole = await findObject(client, at);
  if (!whole) throw interfered();
  return whole;
}

function interfered(cause?: unknown): Problem {
  return new Problem('conflict', 'The upload was changed while it was finished; ask what is missing', { cause });
}

type FoundUpload = {
  readonly upload: InUpload;
  readonly there: readonly Part[];
  readonly missing: readonly UploadPart[];
};

/** The upload of a key that lacks the least. */
async function findUpload(client: S3Client, at: At, parts: readonly UploadPart[]): Promise<FoundUpload | undefined> {
  const found = await Promise.all(
    (await uploadsOf(client, at)).map(async (upload): Promise<FoundUpload | undefined> => {
      const there = await partsThere(client, upload);
      if (!there) return undefined;
      const sizes = new Map(there.map((part) => [part.PartNumber, part.Size]));
      return { upload, there, missing: parts.filter((part) => sizes.get(part.number) !== part.sizeBytes) };
    }),
  );
  return found
    .filter((upload) => upload !== undefined)
    .sort((one, other) => one.missing.length - other.missing.length || compare(one.upload, other.upload))[0];
}

async function uploadsOf(client: S3Client, at: At): Promise<readonly InUpload[]> {
  const { Uploads = [] } = await sent(client.send(new ListMultipartUploadsCommand(listUploadsInput(at))));
  return Uploads.flatMap(({ Key, UploadId }) => (Key === at.Key && UploadId ? [{ ...at, UploadId }] : []));
}

/** Undefined when the upload has just ended. */
async function partsThere(client: S3Client, upload: InUpload): Promise<readonly Part[] | undefined> {
  const there: Part[] = [];
  let after: string | undefined;
  try {
    do {
      const page = await sent(client.send(new ListPartsCommand(listPartsInput(upload, after))));
      there.push(...(page.Parts ?? []));
      after = page.IsTruncated ? page.NextPartNumberMarker : undefined;
    } while (after !== undefined);
    return there;
  } catch (error) {
    if (isNamed(error, 'NoSuchUpload')) return undefined;
    throw error;
  }
}

async function clear(client: S3Client, at: At): Promise<void> {
  for (const upload of await uploadsOf(client, at)) await abortUpload(client, upload);
  await sent(client.send(new DeleteObjectCommand(deleteInput(at))));
}

function compare(one: InUpload, other: InUpload): number {
  return one.UploadId < other.UploadId ? -1 : 1;
}

function isKind(error: unknown, ...kinds: readonly Problem['kind'][]): boolean {
  return error instanceof Problem && kinds.includes(error.kind);
}
