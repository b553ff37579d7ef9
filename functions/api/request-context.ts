import type { Context } from 'hono';
import type { Principal } from '../access/admin.ts';
import type { Log } from '../runtime/log.ts';

/** What the middleware hands to every route. */
export type ApiEnv = {
  Variables: {
    requestId: string;
    /** Adds the request's id to every line. */
    log: Log;
    /** Set behind the authentication only. */
    principal: Principal | undefined;
  };
};

/** Who asks, for timelines; every route that needs it stands behind the authentication. */
export function actorOf(c: Context<ApiEnv>): string {
  const principal = c.get('principal');
  if (!principal) throw new Error('A route that names its caller is not behind the authentication');
  return principal.name;
}
