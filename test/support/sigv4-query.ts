import { createHash, createHmac } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/**
 * Whether a request carries a signature of these keys in its URL, as S3 verifies it: every header that was signed as it
 * was signed, no `x-amz-*` header that was not, and not after its end.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
 */
export function isSignedFor(
  request: IncomingMessage,
  url: URL,
  keys: { readonly accessKeyId: string; readonly secretAccessKey: string },
): boolean {
  const parameter = (name: string) => url.searchParams.get(`X-Amz-${name}`) ?? '';
  const signedHeaders = parameter('SignedHeaders').split(';');
  const unsigned = Object.keys(request.headers).filter((name) => name.startsWith('x-amz-'));
  if (unsigned.some((name) => !signedHeaders.includes(name))) return false;
  const [accessKeyId, ...scope] = parameter('Credential').split('/');
  const date = parameter('Date');
  if (accessKeyId !== keys.accessKeyId || endOf(date, parameter('Expires')) < Date.now()) return false;
  const canonical = [
    request.method,
    url.pathname,
    canonicalQuery(url),
    ...signedHeaders.map((name) => `${name}:${String(request.headers[name] ?? '').trim()}`),
    '',
    signedHeaders.join(';'),
    'UNSIGNED-PAYLOAD',
  ].join('\n');
  const hash = createHash('sha256').update(canonical).digest('hex');
  const key = scope.reduce<string | Buffer>((secret, part) => hmac(secret, part), `AWS4${keys.secretAccessKey}`);
  const signature = hmac(key, ['AWS4-HMAC-SHA256', date, scope.join('/'), hash].join('\n')).toString('hex');
  return signature === parameter('Signature');
}

function canonicalQuery(url: URL): string {
  return [...url.searchParams]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** `20261120T134136Z` and seconds. */
function endOf(date: string, seconds: string): number {
  const iso = date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');
  return Date.parse(iso) + Number(seconds) * 1000;
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
