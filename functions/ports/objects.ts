import type { Digest, EpochMs } from '../runtime/units.ts';

/**
 * Blobs by digest, immutable. A blob is there whole and verified, or not there at all.
 */
export interface Objects {
  /**
   * Stores a blob; resolves when it is durable. Storing what is there already is harmless.
   * Throws `Problem('invalid')` when the bytes do not have that digest, `Problem('too-large')` past `maxBytes`.
   */
  put(digest: Digest, body: AsyncIterable<Uint8Array>, options?: { maxBytes?: number }): Promise<{ sizeBytes: number }>;
  /**
   * Stores a blob whose digest is known only when its body has ended; resolves when it is durable. `check` comes then,
   * and what it throws keeps the bytes from becoming a blob. Throws `Problem('too-large')` past `maxBytes`, or past what
   * this store takes in one piece: larger ones come by `openUpload`.
   */
  receive(body: AsyncIterable<Uint8Array>, options?: ReceiveOptions): Promise<Received>;
  find(digest: Digest): Promise<{ sizeBytes: number } | undefined>;
  /** The blob's bytes; throws `Problem('not-found')`. */
  read(digest: Digest): Promise<AsyncIterable<Uint8Array>>;
  /** Removes a blob; one that is not there is no error. */
  remove(digest: Digest): Promise<void>;
  /** A URL by which anybody may read the blob for so many seconds. */
  downloadUrl(digest: Digest, seconds: number): Promise<string>;
  /** By what anybody may PUT just this blob for so many seconds; the store refuses other bytes. */
  uploadUrl(digest: Digest, seconds: number): Promise<SignedPut>;
  /**
   * Begins an upload in parts, or goes on with it: what is still to be sent, and where to. Parts may be sent in any
   * order, several at once, and again; a part that broke off is as if never sent. Whoever asks again, after a kill or
   * from another process, is told what is missing then.
   * With `proof` it never answers `stored`: who sends must have the bytes, also where the blob is there already.
   * Throws `Problem('invalid')` for an id, a digest or a size that cannot be one.
   */
  openUpload(upload: UploadRef, options: { seconds: number; mostParts?: number; proof?: boolean }): Promise<Upload>;
  /**
   * Makes the blob of an upload whose parts are all there; takes about as long as reading the blob does. Twice, also
   * at once, is harmless. Throws `Problem('conflict')` when parts are missing, `Problem('invalid')` when the bytes
   * do not have the digest: then everything that was sent is gone, and the upload begins anew.
   * With `proof` the blob's being there is not enough, and what was sent is kept until it is abandoned: whoever finishes
   * writes down that they have first, and a kill in between costs nothing but finishing again.
   */
  finishUpload(upload: UploadRef, options?: { proof?: boolean }): Promise<{ sizeBytes: number }>;
  /** Forgets what was sent of an upload; the blob, if it is stored, stays. One that was never opened is no error. */
  abandonUpload(upload: UploadRef): Promise<void>;
  /**
   * The blobs in the order of their digests, at most `limit` (1..1000, default 1000) after a cursor, for who looks
   * through them all. Throws `Problem('invalid')` for a cursor or a limit that cannot be one.
   */
  list(query?: { after?: string; limit?: number }): Promise<BlobPage>;
  /** Throws when the store cannot be reached or written. */
  ready(): Promise<void>;
}

/** `check` is told what has come; it throws a `Problem` to refuse it. */
export type ReceiveOptions = { readonly maxBytes?: number; readonly check?: (received: Received) => void };
export type Received = { readonly digest: Digest; readonly sizeBytes: number };

/** `storedAt`: when its bytes last came, by a `receive` or an upload with `proof` of a blob that was there, too. */
export type StoredBlob = { readonly digest: Digest; readonly sizeBytes: number; readonly storedAt: EpochMs };
export type BlobPage = {
  readonly items: readonly StoredBlob[];
  /** Give it as `after` to go on; undefined at the end. */
  readonly next: string | undefined;
};

/** A PUT that needs no token. Its headers are signed: without just these the store refuses it. */
export type SignedPut = { readonly url: string; readonly headers: Readonly<Record<string, string>> };

/**
 * An upload in parts. `id` says whose it is: 1 to 64 lower-case letters, digits and dashes. Uploads of one blob by
 * different ids know nothing of each other, so nobody can spoil what another sends.
 */
export type UploadRef = {
  readonly id: string;
  readonly digest: Digest;
  /** 1 to 5 TiB; an empty blob is put as a whole. */
  readonly sizeBytes: number;
};

/** Counted from 1; its bytes are those of the blob from `offsetBytes` on, just `sizeBytes` of them. */
export type UploadPart = {
  readonly number: number;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
};

export type Upload =
  /** The blob is there: nothing is to be sent. */
  | { readonly status: 'stored'; readonly sizeBytes: number }
  /** `missing`: the first of the `missingCount` parts that are not there; when that is 0 it can be finished. */
  | {
      readonly status: 'open';
      readonly partCount: number;
      readonly missingCount: number;
      readonly missing: readonly (UploadPart & { readonly put: SignedPut })[];
    };
