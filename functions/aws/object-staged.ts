import {
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  type Part,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { UploadPart } from '../ports/objects.ts';
import { isNamed } from './client.ts';
import { sent } from './object-calls.ts';
import { abortUpload } from './object-parts.ts';
import { deleteInput, listPartsInput, listUploadsInput, type At, type InUpload } from './object-requests.ts';

/** A multipart upload that S3 keeps: what of it is there, and what is missing. */
export type FoundUpload = {
  readonly upload: InUpload;
  readonly there: readonly Part[];
  readonly missing: readonly UploadPart[];
};

/** The upload of a key that lacks the least. */
export async function findUpload(
  client: S3Client,
  at: At,
  parts: readonly UploadPart[],
): Promise<FoundUpload | undefined> {
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

/** Removes all that stands for a key under `uploads/`: parts, and what was made of them. */
export async function clearUpload(client: S3Client, at: At): Promise<void> {
  for (const upload of await uploadsOf(client, at)) await abortUpload(client, upload);
  await sent(client.send(new DeleteObjectCommand(deleteInput(at))));
}

function compare(one: InUpload, other: InUpload): number {
  return one.UploadId < other.UploadId ? -1 : 1;
}
