import type { MiddlewareHandler } from 'hono';
import type { Authenticate } from '../access/authenticate.ts';
import { Problem } from '../runtime/errors.ts';
import { matchedRoute } from './matched-route.ts';
import type { ApiEnv } from './request-context.ts';
import type { WrongToken } from './wrong-tokens.ts';

export type AuthenticationOptions = {
  readonly authenticate: Authenticate;
  readonly wrongToken: WrongToken;
};

/** Lets a request pass whose bearer token is good, and names its principal; and one whose route is open. */
export function authenticated({ authenticate, wrongToken }: AuthenticationOptions): MiddlewareHandler<ApiEnv> {
  return async function authenticated(c, next) {
    if (matchedRoute(c)?.requirement?.scope === 'open') return await next();
    const token = bearerToken(c.req.header('authorization'));
    if (token === undefined) throw new Problem('unauthorized', 'Give a token: Authorization: Bearer …');
    const principal = await authenticate(token);
    if (!principal) throw wrongToken(c);
    c.set('principal', principal);
    return await next();
  };
}

/** The token of an `Authorization` header (RFC 6750, section 2.1); undefined when there is none of that kind. */
export function bearerToken(header: string | undefined): string | undefined {
  return /^Bearer +([\x21-\x7e]{1,8192})$/i.exec(header ?? '')?.[1];
}
