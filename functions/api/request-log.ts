import type { Context, MiddlewareHandler } from 'hono';
import { matchedRoutes } from 'hono/route';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { EpochMs } from '../runtime/units.ts';
import type { ApiEnv } from './request-context.ts';

export type RequestLogOptions = {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: () => EpochMs;
  readonly newId: () => string;
};

/**
 * Gives every request an id (its own when it brings a harmless one), and tells of its end: one log line and one
 * measure, by the route's pattern. Paths and queries stay out of both: they may hold anything.
 */
export function requestLog({ log, metrics, clock, newId }: RequestLogOptions): MiddlewareHandler<ApiEnv> {
  return async function requestLog(c, next) {
    const startedAt = clock();
    const requestId = givenId(c.req.header('x-request-id')) ?? newId();
    c.set('requestId', requestId);
    c.set('log', log.with({ requestId }));
    await next();
    c.res.headers.set('x-request-id', requestId);
    const ms = Math.max(0, clock() - startedAt);
    const measure = { method: knownMethod(c.req.method), route: routeOf(c), status: c.res.status };
    metrics.httpRequest({ ...measure, seconds: ms / 1000 });
    c.get('log').info('request', { ...measure, ms, principal: c.get('principal')?.name ?? null });
  };
}

function givenId(header: string | undefined): string | undefined {
  return header !== undefined && /^[\w.:+/=@-]{1,128}$/.test(header) ? header : undefined;
}

/** The pattern of the route that answered; `none` where only middleware ran. */
function routeOf(c: Context): string {
  return matchedRoutes(c).findLast((route) => route.method !== 'ALL')?.path ?? 'none';
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'];

/** A method is the caller's to invent, and must not become a label of its own; QUERY is what a GET with a body is here. */
function knownMethod(method: string): string {
  if (method === 'QUERY') return 'GET';
  return methods.includes(method) ? method : 'other';
}
