import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { get as getHttp, type IncomingMessage } from 'node:http';
import { get as getHttps } from 'node:https';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Problem } from '../../functions/runtime/errors.ts';
import { addressesOf, answering, type HostAddress } from '../../functions/runtime/public-host.ts';
import type { Digest } from '../../functions/runtime/units.ts';

const mostRedirects = 5;
const silentMs = 30_000;

export type Download = {
  readonly url: string;
  readonly file: string;
  readonly maxBytes: number;
  readonly allowPrivateHosts: boolean;
};

/**
 * Downloads a URL into a new file and answers with the digest of what came. Only http and https; at most 5 redirects,
 * each hop's host checked before it is connected to. Throws `Problem`, which never shows a query: it may be a signature.
 */
export async function download(wanted: Download): Promise<{ digest: Digest; sizeBytes: number }> {
  let url = checkedUrl(wanted.url);
  for (let hop = 0; hop <= mostRedirects; hop++) {
    const addresses = await addressesOf(url.hostname, wanted).catch((cause: Problem) => {
      throw invalid(cause.message, cause);
    });
    const response = await request(url, addresses);
    const location = redirectOf(response);
    if (location === undefined) return await store(response, url, wanted);
    response.destroy();
    url = checkedUrl(location, url);
  }
  throw invalid(`${shownUrl(wanted.url)} redirects more than ${mostRedirects} times`);
}

/** A URL without what may be secret in it. Throws `Problem('invalid')` when it is none that can be downloaded. */
export function shownUrl(text: string): string {
  return shown(checkedUrl(text));
}

function shown(url: URL): string {
  return url.origin + url.pathname;
}

function checkedUrl(text: string, base?: URL): URL {
  const url = URL.parse(text, base?.href);
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw invalid('expected an http or https URL, also behind redirects');
  }
  if (url.username !== '' || url.password !== '') throw invalid('expected a URL without a user name and password');
  return url;
}

function request(url: URL, addresses: readonly HostAddress[]): Promise<IncomingMessage> {
  const get = url.protocol === 'https:' ? getHttps : getHttp;
  const options = { agent: false, lookup: answering(addresses), headers: { accept: '*/*', 'user-agent': 'sluice' } };
  return new Promise((resolve, reject) => {
    const sent = get(url, options, resolve);
    sent.setTimeout(silentMs, () => sent.destroy(new Error(`the server is silent for ${silentMs / 1000} s`)));
    sent.once('error', (cause) => reject(invalid(`${shown(url)} cannot be fetched: ${cause.message}`, cause)));
  });
}

function redirectOf({ statusCode, headers }: IncomingMessage): string | undefined {
  return [301, 302, 303, 307, 308].includes(statusCode ?? 0) ? (headers.location ?? '') : undefined;
}

async function store(
  response: IncomingMessage,
  url: URL,
  { file, maxBytes }: Download,
): Promise<{ digest: Digest; sizeBytes: number }> {
  if (response.statusCode !== 200) {
    response.destroy();
    throw invalid(`${shown(url)} answers with status ${response.statusCode}`);
  }
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sizeBytes += chunk.byteLength;
      hash.update(chunk);
      done(sizeBytes > maxBytes ? tooLarge(url, maxBytes) : null, chunk);
    },
  });
  if (Number(response.headers['content-length'] ?? 0) > maxBytes) {
    response.destroy();
    throw tooLarge(url, maxBytes);
  }
  try {
    await pipeline(response, measure, createWriteStream(file, { flags: 'wx', mode: 0o600, flush: true }));
  } catch (cause) {
    throw cause instanceof Problem ? cause : invalid(`${shown(url)} ended before its end`, cause);
  }
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes };
}

function tooLarge(url: URL, maxBytes: number): Problem {
  return new Problem('too-large', `fetch.url: ${shown(url)} is larger than ${maxBytes} bytes`);
}

function invalid(message: string, cause?: unknown): Problem {
  return new Problem('invalid', `fetch.url: ${message}`, { cause });
}
