import { GetObjectCommand, PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { SignedPut, UploadPart } from '../ports/objects.ts';
import type { Digest, EpochMs } from '../runtime/units.ts';
import type { ObjectsOptions } from './object-calls.ts';
import {
  atBlob,
  checksumOf,
  signedGetInput,
  signedPartInput,
  signedPutInput,
  type InUpload,
} from './object-requests.ts';

/**
 * URLs signed with the client's credentials: they end with those at the latest, whatever they say. A week is the
 * longest. https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
 */
export type SigningOptions = ObjectsOptions & { readonly clock: () => EpochMs };

const checksumHeader = 'x-amz-checksum-sha256';

export async function signedGet(options: SigningOptions, digest: Digest, seconds: number): Promise<string> {
  const command = new GetObjectCommand(signedGetInput(atBlob(options.bucket, digest)));
  return await getSignedUrl(options.client, command, lifetime(options, seconds));
}

/**
 * The checksum must stay a header. Moved into the query, as signers do by themselves, S3 verifies that nobody changed
 * it but never compares the bytes with it. https://github.com/aws/aws-sdk-js-v3/issues/4448
 */
export async function signedPut(options: SigningOptions, digest: Digest, seconds: number): Promise<SignedPut> {
  const command = new PutObjectCommand(signedPutInput(atBlob(options.bucket, digest), digest));
  const url = await getSignedUrl(options.client, command, {
    ...lifetime(options, seconds),
    unhoistableHeaders: new Set([checksumHeader]),
  });
  return { url, headers: { [checksumHeader]: checksumOf(digest) } };
}

/** Its length is signed, but every HTTP client sends that header by itself, and some let nobody else set it. */
export async function signedPart(
  options: SigningOptions,
  upload: InUpload,
  { part, seconds }: { part: UploadPart; seconds: number },
): Promise<SignedPut> {
  const command = new UploadPartCommand(signedPartInput(upload, part));
  return { url: await getSignedUrl(options.client, command, lifetime(options, seconds)), headers: {} };
}

function lifetime(options: SigningOptions, seconds: number) {
  return { expiresIn: seconds, signingDate: new Date(options.clock()) };
}
