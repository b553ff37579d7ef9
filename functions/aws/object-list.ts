import { ListObjectsV2Command, type _Object } from '@aws-sdk/client-s3';
import { blobQuery } from '../ports/blob-page.ts';
import type { Objects, StoredBlob } from '../ports/objects.ts';
import { blobPrefix } from '../runtime/aws-names.ts';
import { digestPattern, type Digest } from '../runtime/units.ts';
import { sent, type ObjectsOptions } from './object-calls.ts';
import { listBlobsInput } from './object-requests.ts';

/**
 * The blobs of the bucket, a page a call. The cursor is a digest and no token of S3's, so it is good for ever, also
 * when that blob has gone. Needs `s3:ListBucket`.
 */
export function listObjects({ client, bucket }: ObjectsOptions): Pick<Objects, 'list'> {
  return {
    async list(query) {
      const input = listBlobsInput(bucket, blobQuery(query));
      const { Contents = [], IsTruncated } = await sent(client.send(new ListObjectsV2Command(input)));
      const items = Contents.flatMap(blobOf);
      return { items, next: IsTruncated ? items.at(-1)?.digest : undefined };
    },
  };
}

/** What is no blob by its name was put there by somebody else, and is none of ours. */
function blobOf({ Key = '', Size = 0, LastModified }: _Object): StoredBlob[] {
  const digest: Digest = `sha256:${Key.slice(blobPrefix.length)}`;
  if (!digestPattern.test(digest)) return [];
  return [{ digest, sizeBytes: Size, storedAt: LastModified?.getTime() ?? 0 }];
}
