import { createHash, timingSafeEqual } from 'node:crypto';
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
  const [, value] = /^Basic +([A-Za-z0-9+/=]{1,12288}) *$/i.exec(header ?? '') ?? [];
  const pair = Buffer.from(value ?? '', 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon < 0 ? undefined : { user: pair.slice(0, colon), password: pair.slice(colon + 1) };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
