import { createHash } from 'node:crypto';

/**
 * A number from 1 to 2^31 - 1 that follows from a text: flat-manager's clients know builds and jobs by 32-bit numbers.
 * Not counted up: a counter would be one record that every build of every app writes, and would tell how many there are.
 */
export function numberOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0) >>> 1 || 1;
}
