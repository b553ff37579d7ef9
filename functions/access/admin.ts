import { createHash, timingSafeEqual } from 'node:crypto';
import { Problem } from '../runtime/errors.ts';
import { root, type Principal } from './principal.ts';

/**
 * Who the token belongs to; undefined for a wrong one. Takes the same time for every wrong token: digests are compared,
 * which are as long as each other whatever the lengths of the tokens.
 */
export function principalOf(token: string, adminTokens: readonly string[]): Principal | undefined {
  const given = digest(token);
  const isRight = adminTokens.map((right) => right !== '' && timingSafeEqual(given, digest(right)));
  return isRight.includes(true) ? root : undefined;
}

/**
 * Who an `Authorization` header speaks for: `Bearer <token>`, or `Basic` with any user name and the token as its
 * password, which is how Git asks. Throws `Problem('unauthorized')`.
 */
export function authenticate(header: string | undefined, adminTokens: readonly string[]): Principal {
  const token = tokenOf(header);
  if (token === undefined) throw new Problem('unauthorized', 'Give a token: Authorization: Bearer …');
  const principal = principalOf(token, adminTokens);
  if (!principal) throw new Problem('unauthorized', 'The token is not valid');
  return principal;
}

/** The token of an `Authorization` header, by RFC 6750 or as the password of RFC 7617; undefined when there is none. */
export function tokenOf(header: string | undefined): string | undefined {
  const [, bearer] = /^Bearer +([\x21-\x7e]{1,8192}) *$/i.exec(header ?? '') ?? [];
  return bearer ?? (basicOf(header)?.password || undefined);
}

/** The user name of a `Basic` header, as far as it is plain: it proves nothing and is only shown. */
export function userNameOf(header: string | undefined): string | undefined {
  const user = basicOf(header)?.user;
  return user !== undefined && /^[\w.@+-]{1,100}$/.test(user) ? user : undefined;
}

function basicOf(header: string | undefined): { readonly user: string; readonly password: string } | undefined {
  const [, value] = /^Basic +([A-Za-z0-9+/=]{1,8192}) *$/i.exec(header ?? '') ?? [];
  const pair = Buffer.from(value ?? '', 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon < 0 ? undefined : { user: pair.slice(0, colon), password: pair.slice(colon + 1) };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
