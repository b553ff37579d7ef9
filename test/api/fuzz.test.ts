import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appExample } from '../../functions/api/examples.ts';
import { problemShape } from '../../functions/api/shapes.ts';
import { openTestApi, webhookSecret } from '../support/api.ts';

let api: Awaited<ReturnType<typeof openTestApi>>;
type Operation = {
  method: string;
  path: string;
  statuses: readonly string[];
  query: readonly string[];
  takesBody: boolean;
};
let operations: readonly Operation[];
const documentShape = v.object({
  paths: v.record(
    v.string(),
    v.record(
      v.string(),
      v.object({
        parameters: v.optional(v.array(v.object({ in: v.string(), name: v.string() })), []),
        responses: v.record(v.string(), v.unknown()),
        requestBody: v.optional(v.unknown()),
      }),
    ),
  ),
});
/** What the parts of a path have to be to name something that is there. */
let there: Readonly<Record<string, string>>;
beforeAll(async () => {
  const sleep = async () => {};
  let now = 1_700_000_000_000;
  api = await openTestApi({ sleep, ports: { clock: () => (now += 1000) } });
  await api.request('PUT', '/api/v1/apps/web', { body: appExample });
  const made = await api.request('POST', '/api/v1/deployments', { body: good[0] });
  const { id } = v.parse(v.object({ id: v.string() }), await made.json());
  there = { app: 'web', environment: 'dev', name: 'one', id };
  const { paths } = v.parse(documentShape, await (await api.app.request('/openapi.json')).json());
  operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters, responses, requestBody }]) => ({
      // What the entry points make of a GET with a body.
      method: method === 'get' && requestBody !== undefined ? 'QUERY' : method.toUpperCase(),
      path,
      takesBody: method === 'put' || method === 'post' || requestBody !== undefined,
      statuses: Object.keys(responses),
      query: parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name),
    })),
  );
});
afterAll(async () => {
  await api.close();
});

const words = [
  'web',
  'dev',
  'main',
  'web:1',
  'one',
  '0',
  '5',
  '20',
  'true',
  `sha256:${'a'.repeat(64)}`,
  '../..',
  '%00',
  '\u{1F680}',
];
const word = fc.oneof(fc.constantFrom(...words), fc.string({ unit: 'binary', maxLength: 40 }), fc.string());
const fields = [
  'app', 'environment', 'source', 'ref', 'image', 'artifact', 'fetch', 'url', 'sha256', 'target', 'desiredCount',
  'value', 'to', 'environments', 'targets', 'name', 'runtime', 'env', 'secrets', 'build', 'kind', '__proto__', 'constructor',
]; // prettier-ignore
const { json } = fc.letrec((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false, 0, -1, 1.5, 1e308, appExample, appExample.environments),
    word,
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom(...fields), tie('json'), { maxKeys: 6, noNullPrototype: true }),
  ),
}));
const good = [
  { app: 'web', environment: 'dev', image: 'web:1' },
  { app: 'web', environment: 'dev', source: {} },
  { target: 'web', desiredCount: 3 },
  { value: 'a value' },
  { to: 'some-deployment' },
  { 'log-offset': 3 },
  { wanted: [`${'a'.repeat(64)}.filez`] },
  appExample,
];
const body = fc.oneof(
  { weight: 5, arbitrary: json.map((value) => JSON.stringify(value)) },
  // Good ones, whole or with one field put wrong.
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom(...good), fc.dictionary(fc.constantFrom(...fields), json, { maxKeys: 1 }))
      .map(([value, wrong]) => JSON.stringify({ ...value, ...wrong })),
  },
  fc.string(),
);

describe('whatever is sent to any route', () => {
  it('is answered by what the OpenAPI document promises, and never by an error of ours', async () => {
    const seen = new Set<string>();
    const isAsPromised = async (request: {
      operation: Operation;
      parts: readonly (string | null)[];
      given: Readonly<Record<string, string>>;
      text: string;
    }) => {
      const { method, path, statuses, query, takesBody } = request.operation;
      let part = 0;
      const concrete = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
        encode(request.parts[part++ % request.parts.length] ?? there[name] ?? ''),
      );
      const search = new URLSearchParams();
      for (const [name, value] of Object.entries(request.given))
        search.append(query[search.size % query.length] ?? name, value);
      const response = await api.request(
        method,
        `${concrete}?${search.toString()}`,
        takesBody ? { body: request.text, headers: signed(request.text) } : {},
      );
      const text = await response.text();
      const isProblem = response.headers.get('content-type') === 'application/problem+json';
      const said = `${method} ${concrete}?${search.toString()} ${request.text} → ${response.status} ${text}`;
      if (response.status >= 500) throw new Error(`An error of ours: ${said}`);
      if (isProblem) v.parse(problemShape, JSON.parse(text));
      // An empty part makes another path of it, which may be none of ours or take other methods.
      const isAnotherPath = isProblem && [404, 405].includes(response.status);
      if (!isAnotherPath && !statuses.includes(String(response.status))) throw new Error(`Not promised: ${said}`);
      seen.add(`${method} ${path} ${response.status}`);
      // It may be gone by now, and without it there is little to find.
      if (method === 'DELETE' && response.ok) await api.request('PUT', '/api/v1/apps/web', { body: appExample });
    };
    await expect(
      fc.assert(
        fc.asyncProperty(
          fc.record({
            operation: fc.constantFrom(...operations),
            parts: fc.array(fc.option(word, { freq: 2 }), { minLength: 2, maxLength: 2 }),
            given: fc.oneof(fc.constant({}), fc.dictionary(fc.string({ maxLength: 8 }), word, { maxKeys: 2 })),
            text: body,
          }),
          isAsPromised,
        ),
        { numRuns: 1500 },
      ),
    ).resolves.toBeUndefined();
    // It is no test of the refusals alone.
    const count = (status: RegExp) => [...seen].filter((answer) => status.test(answer)).length;
    expect([count(/ 20\d$/) > 10, count(/ 400$/) > 10]).toEqual([true, true]);
  });
});

/** As GitHub would: the fuzz is to get past the signature, too. */
function signed(text: string): Record<string, string> {
  return {
    'x-github-event': 'push',
    'x-github-delivery': 'd1',
    'x-hub-signature-256': `sha256=${createHmac('sha256', webhookSecret).update(text).digest('hex')}`,
  };
}

/** Lone surrogates have no UTF-8 form. */
function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}
