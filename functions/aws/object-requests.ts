import type {
  AbortMultipartUploadCommandInput,
  CompleteMultipartUploadCommandInput,
  CompletedPart,
  CopyObjectCommandInput,
  CreateMultipartUploadCommandInput,
  DeleteObjectCommandInput,
  GetObjectCommandInput,
  HeadObjectCommandInput,
  ListMultipartUploadsCommandInput,
  ListObjectsV2CommandInput,
  ListPartsCommandInput,
  PutObjectCommandInput,
  UploadPartCommandInput,
  UploadPartCopyCommandInput,
} from '@aws-sdk/client-s3';
import type { UploadPart, UploadRef } from '../ports/objects.ts';
import { blobKey, blobPrefix, uploadPrefix } from '../runtime/aws-names.ts';
import { Problem } from '../runtime/errors.ts';
import { digestPattern, type Digest } from '../runtime/units.ts';

/** What is asked of S3, as pure values. */
export type At = { readonly Bucket: string; readonly Key: string };
export type InUpload = At & { readonly UploadId: string };

/** The digest becomes a key, so it is checked here, whoever called. */
export function atBlob(bucket: string, digest: Digest): At {
  if (!digestPattern.test(digest)) {
    const expected = 'sha256: and 64 lower-case hex digits';
    throw new Problem('invalid', `digest: expected ${expected}`, { issues: [{ field: 'digest', expected }] });
  }
  return { Bucket: bucket, Key: blobKey(digest) };
}

/** Where an upload in parts becomes one object, which is verified there: `uploads/<id>/<hex>`. */
export function atUpload(bucket: string, { id, digest }: UploadRef): At {
  return { Bucket: bucket, Key: `${uploadPrefix}${id}/${digest.slice('sha256:'.length)}` };
}

/** As S3 wants checksums: `sha256:<hex>` → base64. */
export function checksumOf(digest: Digest): string {
  return Buffer.from(digest.slice('sha256:'.length), 'hex').toString('base64');
}

export function headInput(at: At): HeadObjectCommandInput {
  return { ...at, ChecksumMode: 'ENABLED' };
}

/** The bytes from `from` on, of the very object whose head was read. */
export function getInput(at: At, { from, etag }: { from: number; etag: string | undefined }): GetObjectCommandInput {
  return { ...at, ...(from > 0 ? { Range: `bytes=${from}-` } : {}), ...(etag ? { IfMatch: etag } : {}) };
}

/** A blob in one call: S3 refuses it when the bytes have another sha256, or when it is there already. */
export function putInput(at: At, digest: Digest, body: Uint8Array): PutObjectCommandInput {
  return { ...putAgainInput(at, digest, body), IfNoneMatch: '*' };
}

/** The same where it may be there: its own bytes over it, so that it counts as stored now. */
export function putAgainInput(at: At, digest: Digest, body: Uint8Array): PutObjectCommandInput {
  return {
    ...at,
    Body: body,
    ContentLength: body.byteLength,
    ContentType: contentType,
    ChecksumSHA256: checksumOf(digest),
  };
}

/** Some blobs in the order of their keys, which is that of their digests. */
export function listBlobsInput(
  bucket: string,
  { after, limit }: { readonly after: Digest | undefined; readonly limit: number },
): ListObjectsV2CommandInput {
  const from = after === undefined ? {} : { StartAfter: atBlob(bucket, after).Key };
  return { Bucket: bucket, Prefix: blobPrefix, MaxKeys: limit, ...from };
}

/**
 * What a URL for an upload stands for. Unconditional: S3 takes only the blob's own bytes, and who sends them a second
 * time need not fail.
 */
export function signedPutInput(at: At, digest: Digest): PutObjectCommandInput {
  return { ...at, ChecksumSHA256: checksumOf(digest) };
}

/** The bytes are strangers': a browser must not take them for a page. */
export function signedGetInput(at: At): GetObjectCommandInput {
  return { ...at, ResponseContentType: contentType, ResponseContentDisposition: 'attachment' };
}

export function deleteInput(at: At): DeleteObjectCommandInput {
  return at;
}

/** `checked`: each part comes with its sha256, which S3 verifies. Else S3 takes what comes, and we read it after. */
export function createUploadInput(at: At, { checked }: { checked: boolean }): CreateMultipartUploadCommandInput {
  return { ...at, ContentType: contentType, ...(checked ? { ChecksumAlgorithm: 'SHA256' } : {}) };
}

export function partInput(
  upload: InUpload,
  part: { readonly number: number; readonly bytes: Uint8Array; readonly sha256: string },
): UploadPartCommandInput {
  return {
    ...upload,
    PartNumber: part.number,
    Body: part.bytes,
    ContentLength: part.bytes.byteLength,
    ChecksumSHA256: part.sha256,
  };
}

/** What a URL for a part stands for; the length is signed, so S3 takes just as many bytes. */
export function signedPartInput(upload: InUpload, part: UploadPart): UploadPartCommandInput {
  return { ...upload, PartNumber: part.number, ContentLength: part.sizeBytes };
}

export function completeInput(
  upload: InUpload,
  parts: readonly CompletedPart[],
  { onlyIfNew }: { onlyIfNew: boolean },
): CompleteMultipartUploadCommandInput {
  return { ...upload, MultipartUpload: { Parts: [...parts] }, ...(onlyIfNew ? { IfNoneMatch: '*' } : {}) };
}

export function abortInput(upload: InUpload): AbortMultipartUploadCommandInput {
  return upload;
}

/** The uploads of one key: keys end in a digest, so none is the beginning of another. */
export function listUploadsInput({ Bucket, Key }: At): ListMultipartUploadsCommandInput {
  return { Bucket, Prefix: Key };
}

export function listPartsInput(upload: InUpload, after: string | undefined): ListPartsCommandInput {
  return { ...upload, ...(after === undefined ? {} : { PartNumberMarker: after }) };
}

/** The object that was verified, and no other that may have taken its name since. */
export type Verified = { readonly at: At; readonly etag: string | undefined; readonly sizeBytes: number };

export function copyInput(
  from: Verified,
  to: At,
  { onlyIfNew }: { readonly onlyIfNew: boolean },
): CopyObjectCommandInput {
  return { ...to, ...sourceOf(from), ChecksumAlgorithm: 'SHA256', ...(onlyIfNew ? { IfNoneMatch: '*' } : {}) };
}

/** `range`: bytes, both included. */
export function copyPartInput(
  from: Verified,
  to: InUpload,
  part: { readonly number: number; readonly range: readonly [number, number] },
): UploadPartCopyCommandInput {
  const CopySourceRange = `bytes=${part.range[0]}-${part.range[1]}`;
  return { ...to, ...sourceOf(from), PartNumber: part.number, CopySourceRange };
}

/** Of the keys that are copied no character needs encoding. */
function sourceOf({ at, etag }: Verified) {
  return { CopySource: `${at.Bucket}/${at.Key}`, ...(etag ? { CopySourceIfMatch: etag } : {}) };
}

const contentType = 'application/octet-stream';
