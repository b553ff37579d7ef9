import type { Digest } from '../runtime/units.ts';

/**
 * Blobs by digest, immutable. A blob is there whole and verified, or not there at all.
 */
export interface Objects {
  /**
   * Stores a blob; resolves when it is durable. Storing what is there already is harmless.
   * Throws `Problem('invalid')` when the bytes do not have that digest, `Problem('too-large')` past `maxBytes`.
   */
  put(digest: Digest, body: AsyncIterable<Uint8Array>, options?: { maxBytes?: number }): Promise<{ sizeBytes: number }>;
  find(digest: Digest): Promise<{ sizeBytes: number } | undefined>;
  /** The blob's bytes; throws `Problem('not-found')`. */
  read(digest: Digest): Promise<AsyncIterable<Uint8Array>>;
  /** Removes a blob; one that is not there is no error. */
  remove(digest: Digest): Promise<void>;
  /** A URL by which anybody may read the blob for so many seconds. */
  downloadUrl(digest: Digest, seconds: number): Promise<string>;
  /** A URL by which anybody may PUT just this blob for so many seconds. */
  uploadUrl(digest: Digest, seconds: number): Promise<string>;
  /** Throws when the store cannot be reached or written. */
  ready(): Promise<void>;
}
