import type { Context, MiddlewareHandler } from 'hono';
import * as v from 'valibot';
import { auditResultOf, writeEntry, type AuditEntry } from '../access/audit.ts';
import { nameSchema } from '../apps/schema.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { matchedRoute, type MatchedRoute } from './matched-route.ts';
import type { ApiEnv } from './request-context.ts';

export type AuditOptions = Pick<ApiPorts, 'records' | 'clock' | 'newId'> & {
  readonly addressOf: (c: Context) => string;
};

/** These ask by a POST, and change nothing. */
const asking = ['/api/v1/tokens/get_list'];

/**
 * Writes down every call that changes something, however it ended, and every one that a token was not enough for, before
 * its answer goes out. An entry that cannot be written goes to the log as a whole: what was done is not undone by it.
 */
export function audited({ records, clock, newId, addressOf }: AuditOptions): MiddlewareHandler<ApiEnv> {
  return async function audited(c, next) {
    await next();
    const route = matchedRoute(c);
    const principal = c.get('principal');
    if (!route || !principal || !(isChange(route) || c.res.status === 403)) return;
    const who = principal.jti === undefined ? {} : { jti: principal.jti };
    const own = { id: newId(), at: clock(), actor: principal.name, ...who, address: addressOf(c) };
    const entry: AuditEntry = { ...own, ...whatOf(c, route) };
    await writeEntry({ records, log: c.get('log') }, entry);
  };
}

function isChange({ method, path }: MatchedRoute): boolean {
  return method !== 'GET' && method !== 'QUERY' && !asking.includes(path);
}

function whatOf(c: Context<ApiEnv>, route: MatchedRoute) {
  const { app, environment, repo, build, tokens } = c.get('about') ?? {};
  const { status } = c.res;
  const place = environment ?? repo;
  const buildId = build === undefined ? buildIdOf(route) : String(build);
  return {
    action: route.operation,
    method: route.method === 'QUERY' ? 'GET' : route.method,
    route: route.path,
    // What stands in a path is the caller's to invent, until it has turned out to be a name.
    ...(v.is(nameSchema, app) ? { app } : {}),
    ...(v.is(nameSchema, place) ? { environment: place } : {}),
    ...(buildId === undefined ? {} : { build: buildId }),
    ...(tokens && tokens.length > 0 ? { tokens } : {}),
    // The concrete one only once what stands in it has been found good.
    ...(status < 400 ? { path: c.req.path } : {}),
    status,
    result: auditResultOf(status),
    requestId: c.get('requestId'),
  };
}

function buildIdOf({ path, params: { id } }: MatchedRoute): string | undefined {
  return path.startsWith('/api/v1/build/:id') && id !== undefined && /^[\w-]{1,64}$/.test(id) ? id : undefined;
}
