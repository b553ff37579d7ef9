import { hkdfSync } from 'node:crypto';
import * as v from 'valibot';
import { Problem } from '../runtime/errors.ts';
import type { EpochMs } from '../runtime/units.ts';
import { payloadSchema, type Payload } from './claims.ts';
import type { Grant } from './narrow.ts';

/** A token of ours, taken apart: its signature holds, and its time is not over. */
export type VerifiedToken = Grant & { readonly jti: string };

/** With `Bearer ` before it, it must fit into 8 KiB of header with all else that a client sends. */
const mostLetters = 6000;

/**
 * A token (JWT, HS256) for a grant, signed by the first of the admin tokens: whoever replaces that one ends every token
 * made from it. jose is loaded here and not before: the admin token alone needs nothing of it.
 * Throws `Problem('invalid')` when what it says is too long for a header.
 */
export async function signToken(
  adminTokens: readonly string[],
  { name, claims, parents, expiresAtSeconds, jti }: VerifiedToken,
  now: EpochMs,
): Promise<string> {
  const [signer] = keysOf(adminTokens);
  if (!signer) throw new Problem('unsupported', 'This control plane has no admin token to sign by');
  const { sub, scope, prefixes, apps, repos, environments, branches, tokenType } = claims;
  const lists = { scope, prefixes, apps, repos, environments, branches, parents };
  const { SignJWT } = await import('jose/jwt/sign');
  const token = await new SignJWT({ name, ...lists, ...(tokenType === undefined ? {} : { token_type: tokenType }) })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(sub)
    .setJti(jti)
    .setIssuedAt(Math.floor(now / 1000))
    .setExpirationTime(expiresAtSeconds)
    .sign(signer);
  if (token.length > mostLetters) throw new Problem('invalid', 'What the token allows is too much to say in a header');
  return token;
}

/** What a token says; undefined when it is none of ours, has expired, or was signed by an admin token that is no more. */
export async function verifyToken(
  adminTokens: readonly string[],
  token: string,
  now: EpochMs,
): Promise<VerifiedToken | undefined> {
  // What has not this form is not worth loading a library for.
  if (!/^[\w-]{10,}\.[\w-]{10,}\.[\w-]{40,}$/.test(token)) return undefined;
  for (const key of keysOf(adminTokens)) {
    const payload = await payloadOf(token, key, now);
    if (payload) return grantOf(payload);
  }
  return undefined;
}

async function payloadOf(token: string, key: Uint8Array, now: EpochMs): Promise<Payload | undefined> {
  const [{ jwtVerify }, { JOSEError }] = await Promise.all([import('jose/jwt/verify'), import('jose/errors')]);
  try {
    const { payload } = await jwtVerify(token, key, { algorithms: ['HS256'], currentDate: new Date(now) });
    const parsed = v.safeParse(payloadSchema, payload);
    return parsed.success ? parsed.output : undefined;
  } catch (error) {
    if (error instanceof JOSEError) return undefined;
    throw error;
  }
}

function grantOf({ sub, exp, name, jti, parents, token_type: tokenType, ...lists }: Payload): VerifiedToken {
  const { scope, prefixes, apps, repos, environments, branches } = lists;
  const claims = { sub, scope, prefixes, apps, repos, environments, branches };
  return {
    name,
    jti,
    parents,
    expiresAtSeconds: exp,
    claims: tokenType === undefined ? claims : { ...claims, tokenType },
  };
}

/** The keys that follow from the admin tokens, in their order: none can be told from a token it has signed. */
function keysOf(adminTokens: readonly string[]): readonly Uint8Array[] {
  return adminTokens
    .filter((token) => token !== '')
    .map((token) => new Uint8Array(hkdfSync('sha256', token, '', 'sluice token v1', 32)));
}
