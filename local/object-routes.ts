import type { IncomingMessage } from 'node:http';
import { Hono, type Context } from 'hono';
import { Problem } from '../functions/runtime/errors.ts';
import type { EpochMs } from '../functions/runtime/units.ts';
import { grantOf, type ObjectMethod } from './object-urls.ts';
import type { ByteRange, FolderObjects } from './objects.ts';

export type ObjectRoutesOptions = {
  readonly signingKey: string;
  readonly clock: () => EpochMs;
  /** The largest body that is taken. */
  readonly maxBytes: number;
};

/**
 * What the URLs of `folderObjects` lead to: GET and HEAD (with ranges) and PUT of one object, by signature alone.
 * Throws `Problem`s, which the application around it answers: `forbidden`, `not-found`, `invalid`, `too-large`.
 */
export function objectRoutes(objects: FolderObjects, options: ObjectRoutesOptions): Hono {
  const app = new Hono();

  app.get('/objects/:digest', async (context) => {
    const { digest } = granted(context, 'GET', options);
    const found = await objects.find(digest);
    if (!found) throw new Problem('not-found', `There is no object ${digest}`);
    const headers = { ...objectHeaders, etag: `"${digest}"` };
    const range = rangeOf(context.req.header('range'), found.sizeBytes);
    if (range === 'unsatisfiable') {
      return context.body(null, 416, { ...headers, 'content-range': `bytes */${found.sizeBytes}` });
    }
    const { start, end } = range ?? { start: 0, end: found.sizeBytes - 1 };
    const wanted = context.req.method !== 'HEAD' && start <= end;
    const bytes = wanted ? ReadableStream.from(await objects.readRange(digest, { start, end })) : null;
    const partial = range ? { 'content-range': `bytes ${start}-${end}/${found.sizeBytes}` } : {};
    return new Response(bytes, {
      status: range ? 206 : 200,
      headers: { ...headers, ...partial, 'content-length': String(end - start + 1) },
    });
  });

  app.put('/objects/:digest', async (context) => {
    const { digest } = granted(context, 'PUT', options);
    if (Number(context.req.header('content-length') ?? 0) > options.maxBytes) {
      throw new Problem('too-large', `The object is larger than ${options.maxBytes} bytes`);
    }
    const stored = await objects.put(digest, bodyOf(context), { maxBytes: options.maxBytes });
    return context.json({ digest, sizeBytes: stored.sizeBytes });
  });

  app.put('/objects/:digest/uploads/:id/:number', async (context) => {
    const { digest, part } = granted(context, 'PUT', options);
    if (!part) throw forbidden();
    if (part.uploadBytes > options.maxBytes) {
      throw new Problem('too-large', `The object is larger than ${options.maxBytes} bytes`);
    }
    const upload = { id: part.id, digest, sizeBytes: part.uploadBytes };
    await objects.putPart(upload, part.number, bodyOf(context));
    return context.json({ digest, part: part.number });
  });

  return app;
}

/** Whether a request brings objects or a part of one, which may take long: no limit but that it goes on. */
export function isTransfer(request: {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
}): boolean {
  const { method, url = '' } = request;
  if (method === 'POST') return /^\/api\/v1\/build\/[^/]+\/upload(?:\?|$)/.test(url);
  return method === 'PUT' && url.startsWith('/objects/');
}

/** Bytes of strangers: nothing may take them for a page of ours. */
const objectHeaders = {
  'content-type': 'application/octet-stream',
  'content-disposition': 'attachment',
  'x-content-type-options': 'nosniff',
  'accept-ranges': 'bytes',
  'cache-control': 'private, max-age=31536000, immutable',
};

function granted(context: Context, method: ObjectMethod, options: ObjectRoutesOptions) {
  const { digest = '', id, number = '' } = context.req.param() as { digest?: string; id?: string; number?: string };
  const { expires = '', signature = '', of: uploadBytes = '' } = context.req.query();
  const part = id === undefined ? {} : { part: { id, number, uploadBytes } };
  const request = { method, digest, expires, signature, ...part };
  const grant = grantOf(request, options.signingKey, options.clock() / 1000);
  if (!grant) throw forbidden();
  return grant;
}

function forbidden(): Problem {
  return new Problem('forbidden', 'The signature of this URL is wrong or has expired; ask for a new URL');
}

/** One range as RFC 9110 has it; several, or another unit, may be ignored, and are. */
function rangeOf(header: string | undefined, sizeBytes: number): ByteRange | 'unsatisfiable' | undefined {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  const start = first === '' ? Math.max(0, sizeBytes - Number(last)) : Number(first);
  const end = first === '' || last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  return start <= end ? { start, end } : 'unsatisfiable';
}

/**
 * Node's own stream where there is one, as a web stream copies each piece of 64 KiB. And the memory of each is given back
 * as soon as it was taken: left to the collector it costs as much time as all the rest.
 */
async function* bodyOf({ req, env }: Context): AsyncGenerator<Uint8Array> {
  const { incoming } = (env ?? {}) as { readonly incoming?: IncomingMessage };
  if (!incoming) return yield* req.raw.body ?? [];
  for await (const piece of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer<ArrayBuffer>>) {
    yield piece;
    if (piece.byteLength === piece.buffer.byteLength) piece.buffer.transfer(0);
  }
}
