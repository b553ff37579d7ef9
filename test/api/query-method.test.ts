import { gzipSync } from 'node:zlib';
import { Hono } from 'hono';
import { generateSpecs } from 'hono-openapi';
import * as v from 'valibot';
import { describe as suite, expect, it } from 'vitest';
import { describe } from '../../functions/api/describe.ts';
import { getOrQuery, methodWithin, queryBody } from '../../functions/api/query-method.ts';
import type { ApiEnv } from '../../functions/api/request-context.ts';
import { openTestApi } from '../support/api.ts';

const offsetBody = v.strictObject({ 'log-offset': v.exactOptional(v.number('a number')) });
const wantedBody = v.strictObject({ wanted: v.array(v.string()) });
const routes = () =>
  new Hono<ApiEnv>()
    .on(
      getOrQuery,
      '/api/v1/offsets/:id',
      describe({ id: 'offsets', tag: 'builds', summary: 'A job', answers: { 200: 'It' } }),
      queryBody(offsetBody, 'query'),
      (c) => c.json({ offset: c.req.valid('json')['log-offset'] ?? 0 }),
    )
    .on(getOrQuery, '/api/v1/missing', queryBody(wantedBody, 'query', { maxBytes: 2000, gzip: true }), (c) =>
      c.json({ wanted: c.req.valid('json').wanted.length }),
    )
    .get('/api/v1/plain', (c) => c.text('plain'));

async function ask(path: string, init: RequestInit = {}) {
  const api = await openTestApi({ routes: [routes() as unknown as Hono] });
  try {
    return await api.request(init.method ?? 'GET', path, {
      ...(init.body === undefined ? {} : { body: init.body as string }),
      headers: (init.headers ?? {}) as Record<string, string>,
    });
  } finally {
    await api.close();
  }
}

suite('a route that is read by GET, with a body or without', () => {
  it('has the defaults where there is no body', async () => {
    expect(await (await ask('/api/v1/offsets/7')).json()).toEqual({ offset: 0 });
  });

  it('takes what the body says', async () => {
    const response = await ask('/api/v1/offsets/7', { method: 'QUERY', body: '{"log-offset":12}' });
    expect(await response.json()).toEqual({ offset: 12 });
  });

  it('takes a body without a content type for JSON, but none of another type', async () => {
    const app = routes();
    const bytes = new TextEncoder().encode('{"log-offset":5}');
    const untyped = await app.request('/api/v1/offsets/7', { method: 'QUERY', body: bytes });
    expect(await untyped.json()).toEqual({ offset: 5 });
    const headers = { 'content-type': 'text/plain' };
    expect((await ask('/api/v1/offsets/7', { method: 'QUERY', body: '{}', headers })).status).toBe(415);
  });

  it('says what is wrong with the body', async () => {
    const response = await ask('/api/v1/offsets/7', { method: 'QUERY', body: '{"log-offset":"x"}' });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ detail: 'The query is not valid: log-offset: a number.' });
    expect((await ask('/api/v1/missing')).status).toBe(400);
  });

  it('takes a gzip body where it is meant to', async () => {
    const app = routes();
    const body = new Uint8Array(gzipSync(JSON.stringify({ wanted: ['a', 'b'] })));
    const headers = { 'content-encoding': 'gzip', 'content-type': 'application/json' };
    const response = await app.request('/api/v1/missing', { method: 'QUERY', body, headers });
    expect(await response.json()).toEqual({ wanted: 2 });
  });

  it('names GET and QUERY to whoever comes with another method', async () => {
    const response = await ask('/api/v1/offsets/7', { method: 'POST', body: '{}' });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('GET, HEAD, QUERY');
  });

  it('tells a GET with a body, where none is taken, what to leave out', async () => {
    const response = await ask('/api/v1/plain', { method: 'QUERY', body: '{}' });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('GET, HEAD');
    expect(await response.json()).toMatchObject({ detail: 'This path takes GET, HEAD, and GET without a body' });
  });

  it('stands in the OpenAPI document as a GET alone, with its body', async () => {
    const { paths } = await generateSpecs(routes());
    expect(Object.keys(paths['/api/v1/offsets/{id}'] ?? {})).toEqual(['get']);
    expect(paths['/api/v1/offsets/{id}']?.get).toMatchObject({
      operationId: 'offsets',
      requestBody: { required: false },
    });
  });

  it('is counted as a GET', async () => {
    const api = await openTestApi({ routes: [routes() as unknown as Hono] });
    await api.request('QUERY', '/api/v1/offsets/7', { body: '{}' });
    const { text } = await api.metrics.scrape();
    expect(text).toMatch(/http_request[^\n]*method="GET"[^\n]*route="\/api\/v1\/offsets\/:id"/);
    await api.close();
  });
});

suite('a GET with a body', () => {
  it('becomes QUERY under /api/v1 and stays a GET elsewhere', () => {
    const get = { method: 'GET', path: '/api/v1/build/7/missing_objects', hasBody: true };
    expect(methodWithin(get)).toBe('QUERY');
    expect(methodWithin({ ...get, path: `http://sluice.example${get.path}` })).toBe('QUERY');
    expect(methodWithin({ ...get, hasBody: false })).toBe('GET');
    expect(methodWithin({ ...get, path: '/health' })).toBe('GET');
    expect(methodWithin({ ...get, method: 'POST' })).toBe('POST');
  });
});
