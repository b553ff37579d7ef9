import type { Objects } from '../ports/objects.ts';
import { checkUpload, defaultMostParts, partsOf } from '../ports/upload-parts.ts';
import { findBlob, findObject, type ObjectsOptions } from './object-calls.ts';
import { createUpload } from './object-parts.ts';
import { atBlob, atUpload } from './object-requests.ts';
import { clearUpload, findUpload } from './object-staged.ts';
import { signedPart, type SigningOptions } from './object-urls.ts';

/**
 * Uploads in parts, kept by S3 alone: the parts are one multipart upload to `uploads/<id>/<hex>`, and so who resumes
 * needs nothing but the upload's name.
 *
 * Two who open an upload at the very same time may begin two with S3. Then the fuller one counts, and the bucket's
 * lifecycle clears the other.
 *
 * Needs `s3:PutObject`, `s3:GetObject` and `s3:ListMultipartUploadParts` on the uploads, `s3:GetObject` on the blobs, and
 * `s3:ListBucket` and `s3:ListBucketMultipartUploads`; who is given a URL has the first of these by it.
 */
export function openUploads(options: SigningOptions): Pick<Objects, 'openUpload'> {
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
  };
}

/** Needs `s3:DeleteObject` and `s3:AbortMultipartUpload` on the uploads, and `s3:ListBucketMultipartUploads`. */
export function abandonUploads({ client, bucket }: ObjectsOptions): Pick<Objects, 'abandonUpload'> {
  return {
    async abandonUpload(ref) {
      checkUpload(ref);
      await clearUpload(client, atUpload(bucket, ref));
    },
  };
}
