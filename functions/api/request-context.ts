import type { Log } from '../runtime/log.ts';

/** Who sent a request that had a good token. */
export type Principal = { readonly name: string };

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
