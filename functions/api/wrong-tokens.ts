import type { Context } from 'hono';
import { Problem } from '../runtime/errors.ts';
import type { EpochMs } from '../runtime/units.ts';
import type { ApiEnv } from './request-context.ts';

export type WrongTokensOptions = {
  readonly clock: () => EpochMs;
  /** Where a request came from; what cannot be told counts as one place. */
  readonly addressOf: (c: Context) => string;
};

/** Counts a wrong token, and is the problem to answer it by. */
export type WrongToken = (c: Context<ApiEnv>, message?: string) => Problem;

const failuresAllowed = 60;
const windowMs = 60_000;
const mostAddresses = 10_000;

/**
 * More than 60 wrong tokens a minute from one address are answered 429. A good token passes all the same: clients
 * behind one proxy share an address, and one that has gone wrong must not shut the others out. What makes guessing
 * hopeless is the token (256 random bits, or at least 16 characters), not this; it keeps the log readable.
 */
export function wrongTokens({ clock, addressOf }: WrongTokensOptions): WrongToken {
  const failures = failureCount(clock);
  return (c, message = 'The token is not valid') => {
    if (failures.add(addressOf(c)) <= failuresAllowed) return new Problem('unauthorized', message);
    return new Problem('too-many-requests', 'Too many wrong tokens from this address; wait a minute');
  };
}

/** Counts within a window for each address; the oldest addresses are forgotten first, so it cannot be made to grow. */
function failureCount(clock: () => EpochMs) {
  const windows = new Map<string, { readonly since: EpochMs; count: number }>();
  return {
    add(address: string): number {
      const found = windows.get(address);
      const current = found && clock() - found.since < windowMs ? found : { since: clock(), count: 0 };
      current.count += 1;
      windows.delete(address);
      windows.set(address, current);
      const oldest = windows.keys().next();
      if (windows.size > mostAddresses && !oldest.done) windows.delete(oldest.value);
      return current.count;
    },
  };
}
