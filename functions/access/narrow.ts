import { Problem } from '../runtime/errors.ts';
import type { EpochMs } from '../runtime/units.ts';
import { allowsApp, coversPrefix, coversSub, listAllows, mostParents, scopes, type Claims } from './claims.ts';
import type { Principal } from './principal.ts';

/** What is asked for; a list that is left out or empty is the parent's. */
export type MintRequest = {
  readonly name: string;
  readonly durationSeconds: number;
  readonly sub?: string | undefined;
  readonly scope?: readonly string[] | undefined;
  readonly prefixes?: readonly string[] | undefined;
  readonly apps?: readonly string[] | undefined;
  readonly repos?: readonly string[] | undefined;
  readonly environments?: readonly string[] | undefined;
  readonly branches?: readonly string[] | undefined;
};

/** What a new token will be. */
export type Grant = {
  readonly name: string;
  readonly claims: Claims;
  readonly parents: readonly string[];
  readonly expiresAtSeconds: number;
};

/**
 * The grant for a token that a holder of another one asks for: never wider than theirs, and within its time. Apps and
 * prefixes say together which apps are allowed, so where just one of them is asked for, the other allows nothing: whoever
 * asks for the app `web` gets no more than it. Scopes that nobody knows are left out, as they allow nothing.
 * Throws `Problem('forbidden')` with what is too wide, `Problem('invalid')` when no scope is left. Pure.
 */
export function narrow(parent: Principal, request: MintRequest, now: EpochMs): Grant {
  const { claims } = parent;
  const expiresAtSeconds = Math.floor(now / 1000) + request.durationSeconds;
  const parents = [...parent.parents, ...(parent.jti === undefined ? [] : [parent.jti])];
  const asked: Claims = {
    sub: request.sub ?? claims.sub,
    scope: known(askedOr(request.scope, claims.scope)),
    ...askedNames(claims, request),
    repos: askedOr(request.repos, claims.repos),
    environments: askedOr(request.environments, claims.environments),
    branches: askedOr(request.branches, claims.branches),
    ...(claims.tokenType === undefined ? {} : { tokenType: claims.tokenType }),
  };
  const refusal = timeRefusal(parent, expiresAtSeconds, now) ?? depthRefusal(parents) ?? widthRefusal(claims, asked);
  if (refusal !== undefined) throw new Problem('forbidden', `Not enough permissions: ${refusal}`);
  if (asked.scope.length === 0) throw new Problem('invalid', `None of the scopes is one of ${scopes.join(', ')}`);
  return { name: `${parent.name}/${request.name}`, claims: asked, parents, expiresAtSeconds };
}

/** Whether everything that the one token allows, the other allows too. */
export function isWithin(inner: Claims, outer: Claims): boolean {
  return widthRefusal(outer, inner) === undefined;
}

function askedNames(claims: Claims, { apps = [], prefixes = [] }: MintRequest): Pick<Claims, 'apps' | 'prefixes'> {
  const asksForSome = apps.length > 0 || prefixes.length > 0;
  return asksForSome
    ? { apps: unique(apps), prefixes: unique(prefixes) }
    : { apps: claims.apps, prefixes: claims.prefixes };
}

function askedOr(asked: readonly string[] | undefined, own: readonly string[]): readonly string[] {
  return asked && asked.length > 0 ? unique(asked) : own;
}

function known(scope: readonly string[]): readonly string[] {
  return scope.filter((name) => (scopes as readonly string[]).includes(name));
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)];
}

function timeRefusal({ expiresAtSeconds }: Principal, wanted: number, now: EpochMs): string | undefined {
  if (expiresAtSeconds === undefined || wanted <= expiresAtSeconds) return undefined;
  const left = Math.max(0, expiresAtSeconds - Math.floor(now / 1000));
  return `the new token would live longer than this one, which has ${left} s left`;
}

function depthRefusal(parents: readonly string[]): string | undefined {
  return parents.length > mostParents ? `a token has at most ${mostParents} tokens above it` : undefined;
}

/** What of the wanted claims goes beyond those there are; undefined: nothing. */
function widthRefusal(own: Claims, wanted: Claims): string | undefined {
  if (!coversSub(own.sub, wanted.sub)) return `the sub of this token does not cover ${quoted(wanted.sub)}`;
  const scope = wanted.scope.find((name) => !own.scope.includes(name));
  if (scope !== undefined) return `this token has no scope ${quoted(scope)}`;
  const prefix = wanted.prefixes.find((name) => !own.prefixes.some((wider) => coversPrefix(wider, name)));
  if (prefix !== undefined) return `the prefixes of this token do not cover ${quoted(prefix)}`;
  const app = wanted.apps.find((name) => !allowsApp(own, name));
  if (app !== undefined) return `this token does not allow the app ${quoted(app)}`;
  for (const list of ['repos', 'environments', 'branches'] as const) {
    // `""`, which stands for all, is allowed by a list that has it itself.
    const name = wanted[list].find((name) => !listAllows(own[list], name));
    if (name !== undefined) return `the ${list} of this token do not have ${quoted(name)}`;
  }
  return undefined;
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
