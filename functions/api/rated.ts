import type { MiddlewareHandler } from 'hono';
import { rateLimiter, type RateOptions } from '../access/rate.ts';
import { Problem } from '../runtime/errors.ts';
import type { ApiEnv } from './request-context.ts';

/**
 * Refuses what a token asks beyond its share of a minute: 429, and 503 on the routes of flat-manager's protocol, whose
 * clients wait and try again at that one alone.
 */
export function rated(options: RateOptions): MiddlewareHandler<ApiEnv> {
  const take = rateLimiter(options);
  return async function rated(c, next) {
    const principal = c.get('principal');
    const retryAfterSeconds = principal && (await take(principal));
    if (retryAfterSeconds === undefined) return await next();
    const limit = `A token may make ${options.perMinute} requests in a minute`;
    throw new Problem('too-many-requests', `${limit}; try again in ${retryAfterSeconds} s`, { retryAfterSeconds });
  };
}
