import type { Context, Input, MiddlewareHandler } from 'hono';
import { resolver, uniqueSymbol } from 'hono-openapi';
import type * as v from 'valibot';
import { parseInput } from '../runtime/parse.ts';
import { readJson } from './body.ts';
import type { ApiEnv } from './request-context.ts';

type Schema = v.GenericSchema<unknown, unknown>;
type Target = 'json' | 'query' | 'param';
type Parsed<T extends Target, S extends Schema> = Input & {
  in: Record<T, v.InferInput<S>>;
  out: Record<T, v.InferOutput<S>>;
};

/** Parses the JSON body for `c.req.valid('json')`, and puts it into the OpenAPI document. */
export function jsonBody<const S extends Schema>(schema: S, what: string) {
  return input('json', schema, async (c, parse) => parse(await readJson(c, { optional: false }), what));
}

/** The same for a body that may be left out; it then counts as `{}`. */
export function optionalJsonBody<const S extends Schema>(schema: S, what: string) {
  return input('json', schema, async (c, parse) => parse((await readJson(c, { optional: true })) ?? {}, what));
}

/** Parses the query for `c.req.valid('query')`; a parameter given twice is a list, and so refused where one is meant. */
export function query<const S extends Schema>(schema: S) {
  return input('query', schema, (c, parse) => {
    const given = Object.entries(c.req.queries()).map(([name, values]) => [
      name,
      values.length === 1 ? values[0] : values,
    ]);
    return parse(Object.fromEntries(given), 'query');
  });
}

/** Parses the parts of the path for `c.req.valid('param')`. */
export function path<const S extends Schema>(schema: S) {
  return input('param', schema, (c, parse) => parse(c.req.param(), 'path'));
}

type Read = (c: Context, parse: (value: unknown, what: string) => unknown) => unknown;

/**
 * hono-openapi's own validator would answer a wrong body with a copy of it, and read bodies of any size;
 * so only its mark is used, by which it finds the schema of a route for the document.
 */
function input<T extends Target, const S extends Schema>(target: T, schema: S, read: Read) {
  const middleware: MiddlewareHandler<ApiEnv, string, Parsed<T, S>> = async (c, next) => {
    const value = await read(c, (value, what) => parseInput(schema, value, what));
    c.req.addValidatedData(target, value as object);
    await next();
  };
  return Object.assign(middleware, { [uniqueSymbol]: { target, ...resolver(schema, { typeMode: 'input' }) } });
}
