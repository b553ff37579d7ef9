import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Context } from 'hono';
import { messageOf, Problem } from '../runtime/errors.ts';

const mebibyte = 1024 * 1024;
export const maxJsonBytes = mebibyte;
/** GitHub cuts its payloads there. https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap */
export const maxWebhookBytes = 25 * mebibyte;

/**
 * The whole body, counted while it comes in: what says too small a length, or none, is cut all the same.
 * Throws `Problem('too-large')`, and `Problem('invalid')` for a body that breaks off.
 */
export async function readBody(c: Context, maxBytes: number): Promise<Uint8Array> {
  const announced = c.req.header('content-length');
  if (Number(announced ?? 0) > maxBytes) throw tooLarge(maxBytes);
  // The server lets in no more than was announced, and this way is twice as fast as the stream.
  if (announced !== undefined && c.req.header('transfer-encoding') === undefined) {
    const bytes = new Uint8Array(await whole(c.req.raw));
    if (bytes.byteLength > maxBytes) throw tooLarge(maxBytes);
    return bytes;
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunksOf(c.req.raw.body)) {
    size += chunk.byteLength;
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

/** What a route takes as JSON besides the usual 1 MiB. */
export type JsonLimits = {
  /** Of the JSON itself, whatever it weighs on the way; default 1 MiB. */
  readonly maxBytes?: number;
  /** Whether `Content-Encoding: gzip` is taken. */
  readonly gzip?: boolean;
};

/**
 * The body as JSON; undefined when there is none and that is allowed (`optional`). `untyped`: a body without a content
 * type is JSON, too. Throws `Problem('unsupported-media-type')` for another content type or encoding,
 * `Problem('invalid')` for what is not JSON; neither holds a piece of the body, which may be a secret.
 */
export async function readJson(
  c: Context,
  options: JsonLimits & { readonly optional: boolean; readonly untyped?: boolean },
): Promise<unknown> {
  const type = c.req.header('content-type');
  if (type !== undefined && !isJson(type)) throw notJson();
  const bytes = await readDecoded(c, { maxBytes: options.maxBytes ?? maxJsonBytes, gzip: options.gzip ?? false });
  if (bytes.byteLength === 0 && options.optional) return undefined;
  if (type === undefined && !options.untyped) throw notJson();
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // Without its cause: the parser's message quotes the body.
    throw new Problem('invalid', 'The body is not JSON in UTF-8');
  }
}

/** The whole body without its encoding, which may be gzip only, and only where that is allowed. */
async function readDecoded(c: Context, { maxBytes, gzip }: { maxBytes: number; gzip: boolean }): Promise<Uint8Array> {
  const encoding = (c.req.header('content-encoding') ?? 'identity').trim().toLowerCase();
  if (encoding === 'identity' || encoding === '') return await readBody(c, maxBytes);
  if (gzip && (encoding === 'gzip' || encoding === 'x-gzip')) return await inflated(c, maxBytes);
  // RFC 9110, section 12.5.3: a 415 for an encoding says which ones are taken.
  c.header('accept-encoding', gzip ? 'gzip, identity' : 'identity');
  throw new Problem(
    'unsupported-media-type',
    `The body's content encoding must be ${gzip ? 'gzip or none' : 'left out: it is taken as it is'}`,
  );
}

/** Counted while it is inflated: what would be larger is cut there, however small it came. */
async function inflated(c: Context, maxBytes: number): Promise<Uint8Array> {
  if (Number(c.req.header('content-length') ?? 0) > maxBytes) throw tooLarge(maxBytes);
  // Whoever reads it is told of the error.
  const gunzip = pipeline(chunksOf(c.req.raw.body), createGunzip(), () => {});
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of gunzip as AsyncIterable<Uint8Array>) {
      size += chunk.byteLength;
      if (size > maxBytes) throw tooLarge(maxBytes);
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof Problem) throw cause;
    throw new Problem('invalid', `The body is not gzip: ${messageOf(cause)}`, { cause });
  }
  return Buffer.concat(chunks, size);
}

async function whole(request: Request): Promise<ArrayBuffer> {
  try {
    return await request.arrayBuffer();
  } catch (cause) {
    throw brokenOff(cause);
  }
}

/** The pieces of a body as they come in; one that breaks off throws `Problem('invalid')`. */
export async function* chunksOf(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  if (!body) return;
  try {
    yield* body;
  } catch (cause) {
    throw brokenOff(cause);
  }
}

function brokenOff(cause: unknown): Problem {
  return new Problem('invalid', 'The body broke off before its end', { cause });
}

function isJson(type: string): boolean {
  return /^application\/(?:[\w.-]+\+)?json$/i.test((type.split(';')[0] ?? '').trim());
}

function notJson(): Problem {
  return new Problem('unsupported-media-type', 'The body must be JSON, with the content type application/json');
}

function tooLarge(maxBytes: number): Problem {
  return new Problem('too-large', `The body is larger than ${maxBytes / mebibyte} MiB`);
}
