import type { AppRecord } from '../apps/registry.ts';
import { hasScope } from './claims.ts';
import { isRoot, refusalOf, type Principal } from './principal.ts';

/**
 * Why a token may not push to an app, nor fetch from it; undefined: it may. What a push will deploy is known only when it
 * has come: so the token must allow every environment that follows a branch or a tag, and be bound to no branch.
 */
export function pushRefusal(
  principal: Principal,
  app: Pick<AppRecord, 'id'> & Partial<Pick<AppRecord, 'app'>>,
): string | undefined {
  if (isRoot(principal)) return undefined;
  const { claims } = principal;
  if (!hasScope(claims, 'deploy')) return 'it has not the scope deploy';
  if (!claims.branches.includes('')) return 'it allows some branches only, and a push may be of any';
  const environments = app.app?.environments ?? [];
  const following = environments.filter(({ branch, tag }) => branch !== undefined || tag !== undefined);
  const own = { app: app.id, appId: app.app?.appId };
  const places = following.length > 0 ? following.map(({ name }) => ({ ...own, environment: name })) : [own];
  return places.map((place) => refusalOf(principal, place)).find((refusal) => refusal !== undefined);
}
