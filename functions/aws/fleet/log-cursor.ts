import { Problem } from '../../runtime/errors.ts';
import type { EpochMs } from '../../runtime/units.ts';

/** How far a log was read: up to `since`, and of that millisecond the events `seen`. */
export type LogCursor = { readonly since: EpochMs; readonly seen: readonly string[] };

export function encodeLogCursor({ since, seen }: LogCursor): string {
  return Buffer.from(JSON.stringify([since, ...seen])).toString('base64url');
}

/** Without a cursor: from the beginning. Throws `Problem('invalid')` for one that is not ours. */
export function decodeLogCursor(text: string | undefined): LogCursor {
  if (text === undefined || text === '') return { since: 0, seen: [] };
  try {
    const [since, ...seen] = JSON.parse(Buffer.from(text, 'base64url').toString()) as readonly unknown[];
    const isOurs = Number.isSafeInteger(since) && seen.every((id) => typeof id === 'string');
    if (isOurs) return { since: since as number, seen };
  } catch {
    // Told below.
  }
  const expected = 'the next of a page before';
  throw new Problem('invalid', `after: expected ${expected}`, { issues: [{ field: 'after', expected }] });
}
