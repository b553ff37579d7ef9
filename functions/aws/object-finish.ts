import { CompleteMultipartUploadCommand, type S3Client } from '@aws-sdk/client-s3';
import type { Objects, UploadRef } from '../ports/objects.ts';
import { checkUpload, missingParts, partsOf, wrongDigest } from '../ports/upload-parts.ts';
import { Problem } from '../runtime/errors.ts';
import { isNamed } from './client.ts';
import { digestOf, metered, newMeter } from './object-body.ts';
import { bytesOf, findBlob, findObject, isConflict, sent, type ObjectsOptions } from './object-calls.ts';
import { copyToBlob } from './object-copy.ts';
import { atBlob, atUpload, completeInput, type At, type Verified } from './object-requests.ts';
import { clearUpload, findUpload } from './object-staged.ts';

export type FinishOptions = ObjectsOptions & { readonly copyPieceBytes?: number };

/**
 * S3 verifies a sha256 of what comes in one call, but of an object made of parts only a checksum of checksums, or a CRC.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
 * So a finished upload becomes an object under `uploads/`, is read and hashed there, and only then copied to the blob's
 * key, within S3. That costs one GET and one copy of each GiB (fractions of a cent, nothing for the bytes within a
 * region) and the time to read it, about 10 s a GiB in a Lambda function; memory stays flat.
 *
 * With `proof` the object under `uploads/` stays until the upload is abandoned, or the lifecycle clears it: it is what
 * shows, when asked again, that these bytes were sent.
 *
 * Needs, besides what `openUploads` does, `s3:GetObject` and `s3:PutObject` on the blobs.
 */
export function finishUploads(options: FinishOptions): Pick<Objects, 'finishUpload'> {
  const { client, bucket } = options;
  return {
    async finishUpload(ref, { proof = false } = {}) {
      checkUpload(ref);
      const blob = { at: atBlob(bucket, ref.digest), digest: ref.digest };
      const places = { at: atUpload(bucket, ref), blob, proof };
      if (proof) return { sizeBytes: await finish(options, ref, places) };
      const sizeBytes =
        (await findBlob(client, blob.at, ref.digest))?.sizeBytes ?? (await finish(options, ref, places));
      await clearUpload(client, places.at);
      return { sizeBytes };
    },
  };
}

type Places = {
  readonly at: At;
  readonly blob: { readonly at: At; readonly digest: UploadRef['digest'] };
  readonly proof: boolean;
};

async function finish(
  { client, copyPieceBytes }: FinishOptions,
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
  await clearUpload(client, whole.at);
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

function isKind(error: unknown, ...kinds: readonly Problem['kind'][]): boolean {
  return error instanceof Problem && kinds.includes(error.kind);
}
