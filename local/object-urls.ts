import { createHmac, timingSafeEqual } from 'node:crypto';
import { digestPattern, type Digest } from '../functions/runtime/units.ts';

export type ObjectMethod = 'GET' | 'PUT';

/** One part of an upload: whose (`id`), which, and of how many bytes the whole blob is. */
export type PartGrant = { readonly id: string; readonly number: number; readonly uploadBytes: number };

/** What makes a URL of an object good for one method until one moment (seconds since 1970). */
export type ObjectGrant = {
  readonly method: ObjectMethod;
  readonly digest: Digest;
  readonly expires: number;
  readonly part?: PartGrant | undefined;
};

/**
 * Who has it needs no token:
 * - `<baseUrl>/objects/sha256:<hex>?expires=…&signature=…`
 * - `<baseUrl>/objects/sha256:<hex>/uploads/<id>/<number>?of=<bytes>&expires=…&signature=…`
 */
export function signedUrl(baseUrl: string, grant: ObjectGrant, signingKey: string): string {
  const { part } = grant;
  const query = new URLSearchParams({
    ...(part ? { of: String(part.uploadBytes) } : {}),
    expires: String(grant.expires),
    signature: sign(grant, signingKey),
  });
  const partPath = part ? `/uploads/${part.id}/${part.number}` : '';
  return `${baseUrl.replace(/\/+$/, '')}/objects/${grant.digest}${partPath}?${query.toString()}`;
}

/** The grant a request shows, if we gave it and it has not ended; undefined without telling which of both. */
export function grantOf(
  request: {
    readonly method: ObjectMethod;
    readonly digest: string;
    readonly expires: string;
    readonly signature: string;
    readonly part?: { readonly id: string; readonly number: string; readonly uploadBytes: string };
  },
  signingKey: string,
  nowSeconds: number,
): ObjectGrant | undefined {
  if (!isDigest(request.digest) || !/^[1-9]\d{0,11}$/.test(request.expires)) return undefined;
  const part = request.part && partOf(request.part);
  if (request.part && !part) return undefined;
  const grant = { method: request.method, digest: request.digest, expires: Number(request.expires), part };
  const given = Buffer.from(request.signature);
  const ours = Buffer.from(sign(grant, signingKey));
  if (given.length !== ours.length || !timingSafeEqual(given, ours)) return undefined;
  return grant.expires > nowSeconds ? grant : undefined;
}

export function isDigest(text: string): text is Digest {
  return digestPattern.test(text);
}

function partOf(shown: { id: string; number: string; uploadBytes: string }): PartGrant | undefined {
  if (!/^[a-z0-9-]{1,64}$/.test(shown.id)) return undefined;
  if (!/^[1-9]\d{0,4}$/.test(shown.number) || !/^[1-9]\d{0,14}$/.test(shown.uploadBytes)) return undefined;
  return { id: shown.id, number: Number(shown.number), uploadBytes: Number(shown.uploadBytes) };
}

function sign({ method, digest, expires, part }: ObjectGrant, signingKey: string): string {
  const partText = part ? `\n${part.id}\n${part.number}\n${part.uploadBytes}` : '';
  return createHmac('sha256', signingKey)
    .update(`sluice object\n${method}\n${digest}\n${expires}${partText}`)
    .digest('base64url');
}
