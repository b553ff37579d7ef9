import type { Context, MiddlewareHandler } from 'hono';
import type { Principal } from '../access/principal.ts';
import { Problem } from '../runtime/errors.ts';
import type { EpochMs } from '../runtime/units.ts';
import type { ApiEnv } from './request-context.ts';

export type AuthenticationOptions = {
  /** Who a token belongs to; undefined for a wrong one. Compares in constant time. */
  readonly principalOf: (token: string) => Promise<Principal | undefined>;
  readonly clock: () => EpochMs;
  /** Where a request came from; what cannot be told counts as one place. */
  readonly addressOf: (c: Context) => string;
};

const failuresAllowed = 60;
const windowMs = 60_000;
const mostAddresses = 10_000;

/**
 * Lets a request pass whose bearer token is good, and names its principal.
 *
 * More than 60 wrong tokens a minute from one address are answered 429. A good token passes all the same: clients
 * behind one proxy share an address, and one that has gone wrong must not shut the others out. What makes guessing
 * hopeless is the token (256 random bits, or at least 16 characters), not this; it keeps the log readable.
 */
export function authenticated(options: AuthenticationOptions): MiddlewareHandler<ApiEnv> {
  const failures = failureCount(options.clock);
  return async function authenticated(c, next) {
    const token = bearerToken(c.req.header('authorization'));
    if (token === undefined) throw new Problem('unauthorized', 'Give a token: Authorization: Bearer …');
    const principal = await options.principalOf(token);
    if (!principal) throw wrongToken(failures.add(options.addressOf(c)));
    c.set('principal', principal);
    await next();
  };
}

/** The token of an `Authorization` header (RFC 6750, section 2.1); undefined when there is none of that kind. */
export function bearerToken(header: string | undefined): string | undefined {
  return /^Bearer +([\x21-\x7e]{1,4096})$/i.exec(header ?? '')?.[1];
}

function wrongToken(count: number): Problem {
  if (count <= failuresAllowed) return new Problem('unauthorized', 'The token is not valid');
  return new Problem('too-many-requests', 'Too many wrong tokens from this address; wait a minute');
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
