import type { Context } from 'hono';
import type { Principal, Resource } from '../access/principal.ts';
import type { Log } from '../runtime/log.ts';

/** What the middleware hands to every route. */
export type ApiEnv = {
  Variables: {
    requestId: string;
    /** Adds the request's id to every line. */
    log: Log;
    /** Set behind the authentication only. */
    principal: Principal | undefined;
    /** What the request turned out to be about, as `permit` was told, and the ids of the tokens it concerns. */
    about: (Resource & { readonly tokens?: readonly string[] }) | undefined;
  };
};

/** Who asks, with what the token allows; every route that needs it stands behind the authentication. */
export function principalOf(c: Context<ApiEnv>): Principal {
  const principal = c.get('principal');
  if (!principal) throw new Error('A route that names its caller is not behind the authentication');
  return principal;
}

/** Who asks, for timelines. */
export function actorOf(c: Context<ApiEnv>): string {
  return principalOf(c).name;
}
