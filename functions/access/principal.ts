import { allClaims, allowsApp, allowsPlace, coversSub, listAllows, type Claims } from './claims.ts';

/** Who makes a request, and what the token that was shown allows. */
export type Principal = {
  readonly name: string;
  /** The token's id; left out: it is the admin token. */
  readonly jti?: string;
  readonly claims: Claims;
  /** The ids of the tokens it was minted by; the first one first. */
  readonly parents: readonly string[];
  /** Seconds since 1970; the admin token ends by being replaced. */
  readonly expiresAtSeconds?: number;
};

/** The admin token: the root of every other one. */
export const root: Principal = { name: 'admin', claims: allClaims, parents: [] };

export function isRoot({ jti }: Principal): boolean {
  return jti === undefined;
}

/** Something that a request is about, as far as it is known. */
export type Resource = {
  /** The app's id. */
  readonly app?: string | undefined;
  /** How tools outside know the app: a token may name it so. */
  readonly appId?: string | undefined;
  readonly environment?: string | undefined;
  /** An environment, as the builds service calls it. */
  readonly repo?: string | undefined;
  readonly build?: number | undefined;
  /** The branch that something is taken from. */
  readonly branch?: string | undefined;
};

/**
 * Why a token does not allow something, in words; undefined: it does. Of the resource just what is given is looked at.
 * A build stands under the sub `build/{id}`; an app without one, and without `repo`, under `app/{app}`, its environment
 * under `app/{app}/{environment}`.
 */
export function refusalOf({ claims }: Principal, resource: Resource): string | undefined {
  const { app, appId, environment, repo, branch } = resource;
  const sub = subOf(resource);
  if (sub !== undefined && !coversSub(claims.sub, sub)) return subRefusal(sub);
  const names = [app, appId].filter((name) => name !== undefined);
  if (names.length > 0 && !names.some((name) => allowsApp(claims, name)))
    return `it does not allow the app ${names[0]}`;
  for (const place of [environment, repo]) {
    if (place !== undefined && !allowsPlace(claims, place)) {
      return place === '' ? 'it allows only some environments' : `it does not allow the environment ${place}`;
    }
  }
  if (branch !== undefined && !listAllows(claims.branches, branch)) return `it does not allow the branch ${branch}`;
  return undefined;
}

/** Whether something may be shown to whoever asks: for lists, in which all else is left out. */
export function mayRead(principal: Principal, resource: Resource): boolean {
  return refusalOf(principal, resource) === undefined;
}

export function subRefusal(sub: string): string {
  return sub === '' ? 'its sub must be empty, which stands for all' : `its sub does not cover ${sub}`;
}

function subOf({ app, environment, repo, build }: Resource): string | undefined {
  if (build !== undefined) return `build/${build}`;
  if (app === undefined || repo !== undefined) return undefined;
  return environment === undefined ? `app/${app}` : `app/${app}/${environment}`;
}
