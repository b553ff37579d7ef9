import type { Context, Input, MiddlewareHandler } from 'hono';
import { resolver, uniqueSymbol } from 'hono-openapi';
import type * as v from 'valibot';
import { parseInput } from '../runtime/parse.ts';
import { readJson, type JsonLimits } from './body.ts';
import type { ApiEnv } from './request-context.ts';

type Schema = v.GenericSchema<unknown, unknown>;
type Target = 'json' | 'query' | 'param';
type Parsed<T extends Target, S extends Schema> = Input & {
  in: Record<T, v.InferInput<S>>;
  out: Record<T, v.InferOutput<S>>;
};

/** Parses the JSON body for `c.req.valid('json')`, and puts it into the OpenAPI document. */
export function jsonBody<const S extends Schema>(schema: S, what: string, limits: JsonLimits = {}) {
  return body(schema, { ...limits, what, optional: false });
}

/** The same for a body that may be left out; it then counts as `{}`. */
export function optionalJsonBody<const S extends Schema>(schema: S, what: string, limits: JsonLimits = {}) {
  return body(schema, { ...limits, what, optional: true });
}

/** Parses the query for `c.req.valid('query')`; a parameter given twice is a list, and so refused where one is meant. */
export function query<const S extends Schema>(schema: S) {
  const parsed = input<'query', S>('query', (c) => {
    const given = Object.entries(c.req.queries()).map(([name, values]) => [
      name,
      values.length === 1 ? values[0] : values,
    ]);
    return parseInput(schema, Object.fromEntries(given), 'query');
  });
  // Texts become numbers on the way: the document says what they are.
  return Object.assign(parsed, {
    [uniqueSymbol]: { target: 'query', ...resolver(schema, { options: { typeMode: 'output' } }) },
  });
}

/** Parses the parts of the path for `c.req.valid('param')`. */
export function path<const S extends Schema>(schema: S) {
  const parsed = input<'param', S>('param', (c) => parseInput(schema, c.req.param(), 'path'));
  return Object.assign(parsed, { [uniqueSymbol]: { target: 'param', ...resolver(schema) } });
}

function body<const S extends Schema>(schema: S, options: JsonLimits & { what: string; optional: boolean }) {
  const { what, optional } = options;
  const parsed = input<'json', S>('json', async (c) => parseInput(schema, (await readJson(c, options)) ?? {}, what));
  const content = { 'application/json': { schema: resolver(schema, { options: { typeMode: 'input' } }) } };
  return Object.assign(parsed, { [uniqueSymbol]: { spec: { requestBody: { required: !optional, content } } } });
}

/**
 * hono-openapi's own validator would answer a wrong body with a copy of it, and read bodies of any size; so only its
 * mark is used (by the callers), by which it finds what a route takes.
 */
export function input<T extends Target, S extends Schema>(
  target: T,
  read: (c: Context) => unknown,
): MiddlewareHandler<ApiEnv, string, Parsed<T, S>> {
  return async (c, next) => {
    c.req.addValidatedData(target, (await read(c)) as object);
    await next();
  };
}
