import { createHash } from 'node:crypto';
import type { ByteReader } from './byte-source.ts';
import type { PushObject } from './package.ts';

/** Reads ranges of an object, and hashes it whole on the way: what is read in order is read once. */
export type HashingReader = {
  readonly read: ByteReader['read'];
  /** Reads on to the end, and tells whether the object is what its digest says. */
  readonly isWhole: () => Promise<boolean>;
};

/** Calls to `read` must follow one another. */
export function hashingReader(reader: ByteReader, { sizeBytes, sha256 }: PushObject): HashingReader {
  const hash = createHash('sha256');
  let hashed = 0;
  const hashUpTo = async (offset: number) => {
    while (hashed < offset) {
      const size = Math.min(chunkBytes, offset - hashed);
      hash.update(await reader.read(hashed, size));
      hashed += size;
    }
  };
  return {
    read: async (offset, size, memory) => {
      await hashUpTo(offset);
      const bytes = await reader.read(offset, size, memory);
      // What was hashed before is read again for another try; if it differs by now, the storage refuses it.
      if (offset === hashed) {
        hash.update(bytes);
        hashed += size;
      }
      return bytes;
    },
    isWhole: async () => {
      await hashUpTo(sizeBytes);
      return sha256 === undefined || hash.digest('hex') === sha256;
    },
  };
}

const chunkBytes = 1024 ** 2;
