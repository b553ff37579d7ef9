import type { Context } from 'hono';
import { uniqueSymbol } from 'hono-openapi';
import { matchedRoutes } from 'hono/route';
import { findRequirement, type PathParams, type Requirement } from '../access/requirements.ts';
import type { ApiEnv } from './request-context.ts';

/** The route that will answer a request, as middleware before it can know it. */
export type MatchedRoute = {
  readonly method: string;
  /** Its pattern. */
  readonly path: string;
  /** The parts of the path, just as its handlers get them. */
  readonly params: PathParams;
  /** Undefined: it is in no table. */
  readonly requirement: Requirement | undefined;
  /** The id of its operation in the OpenAPI document. */
  readonly operation: string;
};

/** Undefined: no route takes the request. Of several that fit, the one that was registered first answers. */
export function matchedRoute(c: Context<ApiEnv>): MatchedRoute | undefined {
  const routes = matchedRoutes(c);
  const index = routes.findIndex(({ method }) => method !== 'ALL');
  const first = routes[index];
  if (!first) return undefined;
  const { method, path } = first;
  const operation = routes
    .filter((route) => route.path === path)
    .map(operationOf)
    .find((id) => id !== undefined);
  return {
    method,
    path,
    params: paramsAt(c, index),
    requirement: findRequirement(method, path),
    operation: operation ?? `${method} ${path}`,
  };
}

/** Hono tells the parts of the path to whoever stands at that place in the chain; nothing is taken apart a second way. */
function paramsAt(c: Context<ApiEnv>, index: number): PathParams {
  const { routeIndex } = c.req;
  try {
    c.req.routeIndex = index;
    return c.req.param();
  } finally {
    c.req.routeIndex = routeIndex;
  }
}

function operationOf({ handler }: { readonly handler: unknown }): string | undefined {
  const description = (handler as { readonly [uniqueSymbol]?: { readonly spec?: { readonly operationId?: string } } })[
    uniqueSymbol
  ];
  return description?.spec?.operationId;
}
