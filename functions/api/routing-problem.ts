import type { Context, Hono } from 'hono';
import { Problem } from '../runtime/errors.ts';
import type { ApiEnv } from './request-context.ts';

/**
 * The problem of a request that no route took: 405 with the methods of the path when it has some (RFC 9110, section 15.5.6), else 404.
 * The table is built at the first need, when all routes are there.
 */
export function routingProblem(app: Hono<ApiEnv>): (c: Context<ApiEnv>) => Problem {
  let table: readonly { readonly parts: readonly string[]; readonly method: string }[] | undefined;
  return (c) => {
    table ??= app.routes
      .filter(({ method }) => method !== 'ALL')
      .map(({ method, path }) => ({ method, parts: path.split('/') }));
    const path = c.req.path.split('/');
    const found = table.filter(({ parts }) => fits(parts, path)).map(({ method }) => method);
    if (found.length === 0) return new Problem('not-found', 'There is no such path');
    const allowed = [...new Set(found.flatMap(withHead))].sort().join(', ');
    c.header('allow', allowed);
    // Whoever sent a GET with a body would look in vain for what is wrong with a GET.
    const without = c.req.method === 'QUERY' && found.includes('GET') ? ', and GET without a body' : '';
    return new Problem('method-not-allowed', `This path takes ${allowed}${without}`);
  };
}

/** Whoever answers GET answers HEAD. */
function withHead(method: string): readonly string[] {
  return method === 'GET' ? ['GET', 'HEAD'] : [method];
}

function fits(pattern: readonly string[], path: readonly string[]): boolean {
  if (pattern.length !== path.length) return false;
  return pattern.every((part, index) => (part.startsWith(':') ? path[index] !== '' : part === path[index]));
}
