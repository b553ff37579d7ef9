import { Problem } from '../runtime/errors.ts';
import { digestPattern } from '../runtime/units.ts';
import type { UploadPart, UploadRef } from './objects.ts';

const mebibyte = 1024 ** 2;
/** S3 takes at most 10,000 parts, and none but the last below 5 MiB; an object has at most 5 TiB. */
const mostPartsOfUpload = 10_000;
const leastPartBytes = 8 * mebibyte;
export const mostUploadBytes = 5 * 1024 ** 4;

/** How many URLs one answer holds when nobody says otherwise: signing each takes about a millisecond. */
export const defaultMostParts = 100;

/** The parts of a blob of that size: equal ones of 8 MiB or, past 78 GiB, as large as 10,000 of them must be. */
export function partsOf(sizeBytes: number): readonly UploadPart[] {
  const partBytes = partBytesOf(sizeBytes);
  return Array.from({ length: Math.ceil(sizeBytes / partBytes) }, (_, index) => ({
    number: index + 1,
    offsetBytes: index * partBytes,
    sizeBytes: Math.min(partBytes, sizeBytes - index * partBytes),
  }));
}

/** Throws `Problem('invalid')` naming what is wrong with it, before any of it becomes a path or a key. */
export function checkUpload(upload: UploadRef): void {
  if (!/^[a-z0-9-]{1,64}$/.test(upload.id)) throw invalid('id', '1 to 64 lower-case letters, digits and dashes');
  if (!digestPattern.test(upload.digest)) throw invalid('digest', 'sha256: and 64 lower-case hex digits');
  const { sizeBytes } = upload;
  if (!Number.isInteger(sizeBytes) || sizeBytes < 1 || sizeBytes > mostUploadBytes) {
    throw invalid('sizeBytes', `a whole number from 1 to ${mostUploadBytes}`);
  }
}

/** What a finished upload lacks, for people: `parts 3, 7 and 12 more`. */
export function missingParts(missing: readonly UploadPart[]): Problem {
  const named = missing.slice(0, 10).map((part) => String(part.number));
  const more = missing.length - named.length;
  const which = `${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  return new Problem('conflict', `The upload is not whole: part ${which} missing`);
}

/** The bytes that were sent are another blob than the one that was announced. */
export function wrongDigest(actual: string): Problem {
  return new Problem('invalid', `The bytes have the digest ${actual}, not the one named`);
}

function partBytesOf(sizeBytes: number): number {
  const least = Math.ceil(sizeBytes / mostPartsOfUpload / mebibyte) * mebibyte;
  return Math.max(leastPartBytes, least);
}

function invalid(field: string, expected: string): Problem {
  return new Problem('invalid', `${field}: expected ${expected}`, { issues: [{ field, expected }] });
}
