import type { MiddlewareHandler } from 'hono';

/** Whether this control plane is reached by https; a setting, since no header of a request can be trusted to say it. */
export type Transport = { readonly https: boolean };

/**
 * The headers of every answer, errors included. The API serves data and no documents, so the policy allows nothing;
 * a route that serves a page sets its own.
 */
export function securityHeaders({ https }: Transport): Readonly<Record<string, string>> {
  return {
    'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'cache-control': 'no-store',
    ...(https ? { 'strict-transport-security': 'max-age=31536000; includeSubDomains' } : {}),
  };
}

/** Adds the security headers to what comes back; a header that a route has set itself stays. */
export function withSecurityHeaders(transport: Transport): MiddlewareHandler {
  const headers = Object.entries(securityHeaders(transport));
  return async function withSecurityHeaders(c, next) {
    await next();
    for (const [name, value] of headers) if (!c.res.headers.has(name)) c.res.headers.set(name, value);
  };
}
