import { createHash } from 'node:crypto';
import { Problem } from '../../functions/runtime/errors.ts';
import type { Digest } from '../../functions/runtime/units.ts';
import type { Outside } from './outside.ts';

/** JSON of an image, that is read whole. */
const mostJsonBytes = 4 * 1024 ** 2;

/**
 * The bytes of a blob of Objects, compared as they pass: whoever has read them to their end has what the digest names.
 * Throws `Problem('invalid')` at the first byte too many, or at the end.
 */
export async function* readVerified(
  { readObject }: Pick<Outside, 'readObject'>,
  { digest, sizeBytes = Infinity }: { readonly digest: Digest; readonly sizeBytes?: number },
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let read = 0;
  for await (const chunk of await readObject(digest)) {
    read += chunk.byteLength;
    if (read > sizeBytes) throw other(digest);
    hash.update(chunk);
    yield chunk;
  }
  const isWhole = sizeBytes === Infinity || read === sizeBytes;
  if (!isWhole || `sha256:${hash.digest('hex')}` !== digest) throw other(digest);
}

/** A small blob, whole. Throws `Problem('too-large')` past 4 MiB. */
export async function readSmall(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of bytes) {
    chunks.push(chunk);
    length += chunk.byteLength;
    if (length > mostJsonBytes) throw new Problem('too-large', `It is larger than ${mostJsonBytes} bytes`);
  }
  return Buffer.concat(chunks);
}

function other(digest: Digest): Problem {
  return new Problem('invalid', `The object ${digest} has other bytes than its digest says`);
}
