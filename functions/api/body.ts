import type { Context } from 'hono';
import { Problem } from '../runtime/errors.ts';

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

/**
 * The body as JSON; undefined when there is none and that is allowed.
 * Throws `Problem('unsupported-media-type')` for another content type, `Problem('invalid')` for what is not JSON;
 * neither holds a piece of the body, which may be a secret.
 */
export async function readJson(c: Context, options: { optional: boolean }): Promise<unknown> {
  const type = c.req.header('content-type');
  if (type !== undefined && !isJson(type)) throw notJson();
  const bytes = await readBody(c, maxJsonBytes);
  if (bytes.byteLength === 0 && options.optional) return undefined;
  if (type === undefined) throw notJson();
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // Without its cause: the parser's message quotes the body.
    throw new Problem('invalid', 'The body is not JSON in UTF-8');
  }
}

async function whole(request: Request): Promise<ArrayBuffer> {
  try {
    return await request.arrayBuffer();
  } catch (cause) {
    throw brokenOff(cause);
  }
}

async function* chunksOf(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
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
