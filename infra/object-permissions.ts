import type { Arns } from './arns.ts';
import type { Grant } from './permissions.ts';

const ofTheBucket = 'Blobs are named by their digests and uploads by whose they are; under both are no other objects.';

/**
 * What the API does with objects: it takes what comes through it, opens uploads and forgets them. Who is given a URL of
 * an upload sends its parts by these rights.
 */
export function takesObjects(arns: Arns): readonly Grant[] {
  return [
    ...storesObjects(arns),
    { by: 'code', actions: ['s3:DeleteObject'], within: [arns.uploads], because: ofTheBucket },
  ];
}

/** What jobs do: they make whole what was sent, keep what is made of it, and prune. */
export function keepsObjects(arns: Arns): readonly Grant[] {
  return [
    ...storesObjects(arns),
    { by: 'code', actions: ['s3:DeleteObject'], within: [arns.blobs, arns.uploads], because: ofTheBucket },
  ];
}

/** To list the bucket is to be told 404 of what is not there, and not 403; a multipart upload is a `PutObject`. */
function storesObjects({ bucket, blobs, uploads }: Arns): readonly Grant[] {
  return [
    { by: 'code', actions: ['s3:ListBucket', 's3:ListBucketMultipartUploads'], on: [bucket] },
    {
      by: 'code',
      actions: ['s3:GetObject', 's3:PutObject', 's3:AbortMultipartUpload'],
      within: [blobs, uploads],
      because: ofTheBucket,
    },
    { by: 'code', actions: ['s3:ListMultipartUploadParts'], within: [uploads], because: ofTheBucket },
  ];
}

/** Pruning removes images that nothing names any more. */
export function discardsImages({ repositories }: Arns): readonly Grant[] {
  return [
    {
      by: 'code',
      actions: ['ecr:BatchDeleteImage'],
      within: [repositories],
      because: 'Each app has a repository of its own under the prefix, made when it first builds.',
    },
  ];
}
