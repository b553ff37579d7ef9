import { gzipSync } from 'node:zlib';
import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';
import { readJson, type JsonLimits } from '../../functions/api/body.ts';
import { problemAnswer } from '../../functions/api/problem.ts';

const mebibyte = 1024 * 1024;
const gzipped = { 'content-encoding': 'gzip', 'content-type': 'application/json' };

/** Sends a body in pieces, and tells how many of them were asked for. */
async function send(limits: JsonLimits, body: Uint8Array | readonly Uint8Array[], headers: Record<string, string>) {
  const app = new Hono().post('/', async (c) => {
    const json = await readJson(c, { optional: false, ...limits });
    return c.json({ characters: JSON.stringify(json).length });
  });
  app.onError((error, c) => {
    const { status, body } = problemAnswer(error, 'test');
    return c.newResponse(JSON.stringify(body), status as 400);
  });
  const pieces = body instanceof Uint8Array ? [body] : body;
  let taken = 0;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = pieces[taken];
      taken += 1;
      if (piece) controller.enqueue(piece);
      else controller.close();
    },
  });
  const response = await app.request('/', { method: 'POST', body: stream, headers, duplex: 'half' });
  const answer = (await response.json()) as Record<string, unknown>;
  return { status: response.status, answer, headers: response.headers, taken };
}

describe('a JSON body', () => {
  it('is taken up to the limit of its route', async () => {
    const body = Buffer.from(JSON.stringify('a'.repeat(2 * mebibyte)));
    const headers = { 'content-type': 'application/json' };
    expect((await send({}, body, headers)).answer).toMatchObject({ detail: 'The body is larger than 1 MiB' });
    expect((await send({ maxBytes: 3 * mebibyte }, body, headers)).answer).toEqual({ characters: body.length });
  });

  it('is inflated where the route takes gzip', async () => {
    const limits = { maxBytes: 10 * mebibyte, gzip: true };
    const json = JSON.stringify('a'.repeat(9 * mebibyte));
    expect((await send(limits, gzipSync(json), gzipped)).answer).toEqual({ characters: json.length });
  });

  it('is refused in any other encoding, and told which ones are taken', async () => {
    const deflated = { ...gzipped, 'content-encoding': 'deflate' };
    const refused = await send({ gzip: true }, Buffer.from('{}'), deflated);
    expect([refused.status, refused.headers.get('accept-encoding')]).toEqual([415, 'gzip, identity']);
    const plain = await send({}, gzipSync('{}'), gzipped);
    expect([plain.status, plain.headers.get('accept-encoding')]).toEqual([415, 'identity']);
    expect((await send({ gzip: true }, gzipSync('{}'), { ...gzipped, 'content-encoding': 'gzip, gzip' })).status).toBe(
      415,
    );
  });

  it('is cut while it is inflated, before it has come in whole', async () => {
    const bomb = gzipSync(Buffer.alloc(200 * mebibyte));
    const pieces = Array.from({ length: Math.ceil(bomb.length / 1024) }, (_, at) =>
      bomb.subarray(at * 1024, at * 1024 + 1024),
    );
    const { status, taken } = await send({ maxBytes: mebibyte, gzip: true }, pieces, gzipped);
    expect(status).toBe(413);
    // It is read ahead a little, but nothing like the whole.
    expect(taken).toBeLessThan(pieces.length / 2);
  });

  it.each([
    ['is no gzip', Buffer.from('{}')],
    ['is gzip that breaks off', gzipSync('{"a": "some text"}').subarray(0, 20)],
    ['is gzip of nothing at all', Buffer.alloc(0)],
    ['has a wrong checksum', Buffer.concat([gzipSync('{}').subarray(0, -8), Buffer.alloc(8)])],
  ])('that %s is refused', async (_what, body) => {
    const { status, answer } = await send({ gzip: true }, body, gzipped);
    expect(status).toBe(400);
    expect(answer['detail']).toMatch(/^The body is not gzip: /);
  });

  it('that is no JSON inside is refused without a word of it', async () => {
    const { answer } = await send({ gzip: true }, gzipSync('a secret'), gzipped);
    expect(answer).toMatchObject({ status: 400, detail: 'The body is not JSON in UTF-8' });
  });
});
