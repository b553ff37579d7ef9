import { createHash, timingSafeEqual } from 'node:crypto';
import { Problem } from '../runtime/errors.ts';

/** Who makes a request. */
export type Principal = { readonly name: string };

const admin: Principal = { name: 'admin' };

/**
 * Who the token belongs to; undefined for a wrong one. Takes the same time for every wrong token: digests are compared,
 * which are as long as each other whatever the lengths of the tokens.
 */
export function principalOf(token: string, adminToken: string): Principal | undefined {
  return adminToken !== '' && timingSafeEqual(digest(token), digest(adminToken)) ? admin : undefined;
}

/**
 * Who an `Authorization` header speaks for: `Bearer <token>`, or `Basic` with any user name and the token as its
 * password, which is how Git asks. Throws `Problem('unauthorized')`.
 */
export function authenticate(header: string | undefined, adminToken: string): Principal {
  const token = tokenOf(header);
  if (token === undefined) throw new Problem('unauthorized', 'Give a token: Authorization: Bearer …');
  const principal = principalOf(token, adminToken);
  if (!principal) throw new Problem('unauthorized', 'The token is not valid');
  return principal;
}

/** The token of an `Authorization` header, by RFC 6750 or as the password of RFC 7617; undefined when there is none. */
export function tokenOf(header: string | undefined): string | undefined {
  const [, scheme, value] = /^(Bearer|Basic) +([\x21-\x7e]{1,8192}) *$/i.exec(header ?? '') ?? [];
  if (scheme === undefined || value === undefined) return undefined;
  if (scheme.toLowerCase() === 'bearer') return value;
  const pair = Buffer.from(value, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon < 0 || colon === pair.length - 1 ? undefined : pair.slice(colon + 1);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
