import { Problem } from '../runtime/errors.ts';
import { digestPattern, type Digest } from '../runtime/units.ts';

const mostBlobsOfPage = 1000;

export type BlobQuery = { readonly after: Digest | undefined; readonly limit: number };

/** Which blobs are to be listed; throws `Problem('invalid')` before any of it becomes a path or a key. */
export function blobQuery({ after, limit = mostBlobsOfPage }: { after?: string; limit?: number } = {}): BlobQuery {
  if (!Number.isInteger(limit) || limit < 1 || limit > mostBlobsOfPage) {
    throw invalid('limit', `a whole number from 1 to ${mostBlobsOfPage}`);
  }
  if (after !== undefined && !isDigest(after)) throw invalid('after', 'the "next" of an earlier page');
  return { after, limit };
}

function isDigest(text: string): text is Digest {
  return digestPattern.test(text);
}

function invalid(field: string, expected: string): Problem {
  return new Problem('invalid', `${field}: expected ${expected}`, { issues: [{ field, expected }] });
}
