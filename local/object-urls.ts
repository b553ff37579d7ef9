import { createHmac, timingSafeEqual } from 'node:crypto';
import { digestPattern, type Digest } from '../functions/runtime/units.ts';

export type ObjectMethod = 'GET' | 'PUT';

/** What makes a URL of an object good for one method until one moment (seconds since 1970). */
export type ObjectGrant = { readonly method: ObjectMethod; readonly digest: Digest; readonly expires: number };

/** `<baseUrl>/objects/sha256:<hex>?expires=…&signature=…`: who has it needs no token. */
export function signedUrl(baseUrl: string, grant: ObjectGrant, signingKey: string): string {
  const query = new URLSearchParams({ expires: String(grant.expires), signature: sign(grant, signingKey) });
  return `${baseUrl.replace(/\/+$/, '')}/objects/${grant.digest}?${query.toString()}`;
}

/** The grant a request shows, if we gave it and it has not ended; undefined without telling which of both. */
export function grantOf(
  request: {
    readonly method: ObjectMethod;
    readonly digest: string;
    readonly expires: string;
    readonly signature: string;
  },
  signingKey: string,
  nowSeconds: number,
): ObjectGrant | undefined {
  if (!isDigest(request.digest) || !/^[1-9]\d{0,11}$/.test(request.expires)) return undefined;
  const grant = { method: request.method, digest: request.digest, expires: Number(request.expires) };
  const given = Buffer.from(request.signature);
  const ours = Buffer.from(sign(grant, signingKey));
  if (given.length !== ours.length || !timingSafeEqual(given, ours)) return undefined;
  return grant.expires > nowSeconds ? grant : undefined;
}

export function isDigest(text: string): text is Digest {
  return digestPattern.test(text);
}

function sign(grant: ObjectGrant, signingKey: string): string {
  return createHmac('sha256', signingKey)
    .update(`sluice object\n${grant.method}\n${grant.digest}\n${grant.expires}`)
    .digest('base64url');
}
