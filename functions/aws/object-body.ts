import { createHash, type Hash } from 'node:crypto';
import { Problem } from '../runtime/errors.ts';
import type { Digest } from '../runtime/units.ts';

/** What has passed of a body. */
export type Meter = { sizeBytes: number; readonly hash: Hash };

export function newMeter(): Meter {
  return { sizeBytes: 0, hash: createHash('sha256') };
}

export function digestOf(meter: Meter): Digest {
  return `sha256:${meter.hash.copy().digest('hex')}`;
}

/** The body as it is, counted and hashed; throws `Problem('too-large')` before it gives more than `maxBytes`. */
export async function* metered(
  body: AsyncIterable<Uint8Array>,
  meter: Meter,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    meter.sizeBytes += chunk.byteLength;
    if (meter.sizeBytes > maxBytes) throw new Problem('too-large', `The object is larger than ${maxBytes} bytes`);
    meter.hash.update(chunk);
    yield chunk;
  }
}

/** The body cut anew: each piece has just `partBytes`, but the last; no body gives one empty piece. */
export async function* inParts(body: AsyncIterable<Uint8Array>, partBytes: number): AsyncGenerator<Buffer> {
  let chunks: Uint8Array[] = [];
  let length = 0;
  let given = false;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.byteLength;
    if (length < partBytes) continue;
    let bytes = Buffer.concat(chunks);
    for (; bytes.byteLength >= partBytes; bytes = bytes.subarray(partBytes)) {
      yield bytes.subarray(0, partBytes);
      given = true;
    }
    chunks = [bytes];
    length = bytes.byteLength;
  }
  if (length > 0 || !given) yield Buffer.concat(chunks);
}
