import type { MiddlewareHandler } from 'hono';
import { findApp } from '../apps/registry.ts';
import { allowsApp, allowsEverywhere, coversSub, type Claims } from '../access/claims.ts';
import { isRoot, refusalOf, subRefusal } from '../access/principal.ts';
import type { Requirement } from '../access/requirements.ts';
import type { Records } from '../ports/records.ts';
import { matchedRoute, type MatchedRoute } from './matched-route.ts';
import { insufficient } from './permit.ts';
import { principalOf, type ApiEnv } from './request-context.ts';

/**
 * Lets a request pass whose token has what its route asks for in the table of requirements: a scope, a sub, and the app
 * and the environment of its path. Throws `Problem('forbidden')`.
 */
export function authorized({ records }: { readonly records: Records }): MiddlewareHandler<ApiEnv> {
  return async function authorized(c, next) {
    const route = matchedRoute(c);
    // A path that is none is told so; an open route sees to its callers itself.
    if (!route || route.requirement?.scope === 'open') return await next();
    const principal = principalOf(c);
    c.set('about', { ...aboutOf(route), ...c.get('about') });
    if (isRoot(principal)) return await next();
    if (!route.requirement) throw insufficient('this route takes the admin token only');
    const refusal =
      tableRefusal(principal.claims, route, route.requirement) ??
      refusalOf(principal, await placeOf(records, principal.claims, route));
    if (refusal !== undefined) throw insufficient(refusal);
    return await next();
  };
}

/** What a request is about, as far as its path says it. */
function aboutOf({ params: { app, environment } }: MatchedRoute) {
  return { ...(app === undefined ? {} : { app }), ...(environment === undefined ? {} : { environment }) };
}

function tableRefusal(claims: Claims, { params }: MatchedRoute, requirement: Requirement): string | undefined {
  const { scope, beneath, everywhere } = requirement;
  if (scope === 'any' || scope === 'open') return undefined;
  if (!scope.some((name) => claims.scope.includes(name))) return `it has not the scope ${scope.join(' or ')}`;
  const sub = requirement.sub(params);
  const isCovered = coversSub(claims.sub, sub) || (beneath && coversSub(sub, claims.sub));
  if (!isCovered) return subRefusal(sub);
  if (everywhere && !allowsEverywhere(claims)) return 'this concerns all environments, of which it allows only some';
  return undefined;
}

/**
 * The app and environment of a path, for a look at the token. A token may know the app by the name that its file gives,
 * which is looked up where the app's id alone is not allowed.
 */
async function placeOf(records: Records, claims: Claims, { params }: MatchedRoute) {
  const { app, environment, repo } = params;
  const place = { environment, repo };
  if (app === undefined) return place;
  const appId = allowsApp(claims, app) ? undefined : (await findApp(records, app))?.app.appId;
  return { ...place, app, appId };
}
