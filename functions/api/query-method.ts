import { resolver, uniqueSymbol } from 'hono-openapi';
import type * as v from 'valibot';
import { parseInput } from '../runtime/parse.ts';
import { readJson, type JsonLimits } from './body.ts';
import { input } from './input.ts';

/**
 * The methods of a route that is read by GET, and by GET with a body as flat-manager's clients do. No `Request` can be
 * a GET that has a body, so the entry points make `QUERY` of it (`methodWithin`), the safe method with a body:
 * https://datatracker.ietf.org/doc/draft-ietf-httpbis-safe-method-w-body/
 *
 * ```ts
 * app.on(
 *   getOrQuery,
 *   '/api/v1/job/:id',
 *   describe({ … }),
 *   path(jobPath),
 *   queryBody(logOffsetBody, 'query'), // or with limits: queryBody(wantedBody, 'query', { maxBytes, gzip: true })
 *   (c) => … c.req.valid('json')['log-offset'] …,
 * );
 * ```
 * The OpenAPI document tells of the GET only: OpenAPI 3.1 knows no QUERY.
 */
export const getOrQuery: ['GET', 'QUERY'] = ['GET', 'QUERY'];

/**
 * Parses what a GET brings in its body, for `c.req.valid('json')`; without a body it is `{}`. The body is JSON whether
 * its content type says so or there is none.
 */
export function queryBody<const S extends v.GenericSchema<unknown, unknown>>(
  schema: S,
  what: string,
  limits: JsonLimits = {},
) {
  const options = { ...limits, optional: true, untyped: true };
  const parsed = input<'json', S>('json', async (c) => {
    const body = c.req.method === 'QUERY' ? await readJson(c, options) : undefined;
    return parseInput(schema, body ?? {}, what);
  });
  // "SHOULD be avoided if possible" for a GET, says OpenAPI 3.1: with these clients it is not.
  const content = { 'application/json': { schema: resolver(schema, { options: { typeMode: 'input' } }) } };
  return Object.assign(parsed, { [uniqueSymbol]: { spec: { requestBody: { required: false, content } } } });
}

/** The method by which the router gets a request; an entry point asks, as only it sees a GET with a body. */
export function methodWithin({ method, path, hasBody }: { method: string; path: string; hasBody: boolean }): string {
  return method === 'GET' && hasBody && ours.test(path) ? 'QUERY' : method;
}

/** A proxy may send the whole URL (RFC 9112, section 3.2.2). */
const ours = /^(?:https?:\/\/[^/]*)?\/api\/v1\//i;
