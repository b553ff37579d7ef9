import { CopyObjectCommand, UploadPartCopyCommand, type CompletedPart, type S3Client } from '@aws-sdk/client-s3';
import type { Digest } from '../runtime/units.ts';
import { findBlob, isConflict, sent } from './object-calls.ts';
import { withUpload } from './object-parts.ts';
import { copyInput, copyPartInput, type At, type InUpload, type Verified } from './object-requests.ts';

/**
 * One call copies at most 5 GiB, and silently so; in pieces of 1 GiB each is quick, and S3 copies several at once.
 * 5 TiB are then 5,120 of the 10,000 parts an object may have.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
 */
export const copyPieceBytes = 1024 ** 3;
const copiesAtOnce = 4;

/**
 * Copies the very object that was verified to a blob's key, within S3; with `renew` also over the blob, which then
 * counts as stored now. Throws what S3 says when the source has gone or changed (`isConflict`, or `NoSuchKey`) and the
 * blob is not there.
 */
export async function copyToBlob(
  client: S3Client,
  from: Verified,
  blob: {
    readonly at: At;
    readonly digest: Digest;
    readonly pieceBytes?: number | undefined;
    readonly renew?: boolean;
  },
): Promise<void> {
  const { pieceBytes = copyPieceBytes, renew = false } = blob;
  if (from.sizeBytes > pieceBytes) {
    const send = async (upload: InUpload) => await copyPieces(client, from, { upload, pieceBytes });
    return await withUpload(client, blob, { checked: false, onlyIfNew: !renew, send });
  }
  try {
    await sent(client.send(new CopyObjectCommand(copyInput(from, blob.at, { onlyIfNew: !renew }))));
  } catch (error) {
    if (!isConflict(error) || !(await findBlob(client, blob.at, blob.digest))) throw error;
  }
}

async function copyPieces(
  client: S3Client,
  from: Verified,
  { upload, pieceBytes }: { readonly upload: InUpload; readonly pieceBytes: number },
): Promise<readonly CompletedPart[]> {
  const count = Math.ceil(from.sizeBytes / pieceBytes);
  const completed: CompletedPart[] = [];
  for (let done = 0; done < count; done += copiesAtOnce) {
    const some = Array.from({ length: Math.min(copiesAtOnce, count - done) }, (_, index) => done + index);
    completed.push(...(await Promise.all(some.map(async (index) => await copyPiece(index)))));
  }
  return completed;

  async function copyPiece(index: number): Promise<CompletedPart> {
    const start = index * pieceBytes;
    const end = Math.min(start + pieceBytes, from.sizeBytes) - 1;
    const input = copyPartInput(from, upload, { number: index + 1, range: [start, end] });
    const { CopyPartResult } = await sent(client.send(new UploadPartCopyCommand(input)));
    return { PartNumber: index + 1, ETag: CopyPartResult?.ETag };
  }
}
