import { Hono } from 'hono';
import { listEntries, type AuditEntry } from '../access/audit.ts';
import { allowsAllApps } from '../access/claims.ts';
import { mayRead, type Principal } from '../access/principal.ts';
import { isoTime } from '../runtime/units.ts';
import { describe, named } from './describe.ts';
import { query } from './input.ts';
import type { RouteDependencies } from './options.ts';
import { principalOf, type ApiEnv } from './request-context.ts';
import { auditListShape, auditQuery, type AuditView } from './token-requests.ts';

/** Who did what, on what, from where, and how it ended. */
export function auditRoutes({ ports }: RouteDependencies): Hono<ApiEnv> {
  return new Hono<ApiEnv>().get(
    '/api/v1/audit',
    describe({
      id: 'listAudit',
      tag: 'tokens',
      summary: 'List what was changed, or refused, newest first',
      description:
        'Every call that changes something and every one that a token was not enough for, for 400 days. A page may be ' +
        'short; the last one is that whose `next` is null. A token that allows some apps sees what was done to those.',
      answers: { 200: ['A page of entries', named('AuditList', auditListShape)] },
    }),
    query(auditQuery),
    async (c) => {
      const page = await listEntries(ports.records, c.req.valid('query'), isShownTo(principalOf(c)));
      return c.json({ items: page.items.map(viewOf), next: page.next });
    },
  );
}

function isShownTo(principal: Principal): (entry: AuditEntry) => boolean {
  return ({ app, environment }) =>
    app === undefined ? allowsAllApps(principal.claims) : mayRead(principal, { app, environment });
}

function viewOf(entry: AuditEntry): AuditView {
  const { id, at, actor, jti, action, method, route, path, app, environment, build, tokens = [] } = entry;
  const { status, result, address, requestId } = entry;
  return {
    id,
    at: isoTime(at),
    actor,
    token: jti ?? null,
    action,
    method,
    route,
    path: path ?? null,
    app: app ?? null,
    environment: environment ?? null,
    build: build ?? null,
    tokens: [...tokens],
    status,
    result,
    address,
    requestId,
  };
}
