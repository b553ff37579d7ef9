import { globMatches, parseGlob } from '../apps/glob.ts';
import type { CiRule } from '../apps/schema.ts';
import { Problem } from '../runtime/errors.ts';
import type { EpochMs } from '../runtime/units.ts';
import type { Claims } from './claims.ts';
import { isWithin, type Grant } from './narrow.ts';
import type { CiJob } from './oidc.ts';
import type { Principal } from './principal.ts';

export type CiApp = { readonly id: string; readonly ci: readonly CiRule[] | undefined };

/**
 * What a job of CI is granted on an app: by the first of the app's rules that fits it. A pull request is refused
 * whatever a rule says: it may come from a fork, and its code is not reviewed. Throws `Problem('forbidden')`. Pure.
 */
export function grantForJob(app: CiApp, job: CiJob, now: EpochMs): Grant {
  const branch = /^refs\/heads\/(.+)$/.exec(job.ref)?.[1];
  const isPullRequest = job.event.startsWith('pull_request');
  const rule = branch === undefined || isPullRequest ? undefined : app.ci?.find((rule) => fits(rule, job, branch));
  if (!rule || branch === undefined) {
    throw new Problem('forbidden', `Not enough permissions: no rule of the app ${app.id} lets this job in`);
  }
  return {
    name: `github:${job.repository}@${job.ref}`,
    claims: claimsOf(app.id, rule, branch),
    parents: [],
    expiresAtSeconds: Math.floor(now / 1000) + rule.minutes * 60,
  };
}

/**
 * Whoever writes a rule must have all that it grants, or could give to a repository of theirs what they do not have.
 * Rules that were there before are nobody's to answer for. Throws `Problem('forbidden')`. Pure.
 */
export function permitRules({ claims }: Principal, app: CiApp, before: CiApp['ci'] = []): void {
  const known = new Set(before.map((rule) => JSON.stringify(rule)));
  const added = (app.ci ?? []).filter((rule) => !known.has(JSON.stringify(rule)));
  // That the app is theirs was looked at before: they may know it by another name.
  const own = { ...claims, apps: [...claims.apps, app.id] };
  if (added.every((rule) => isWithin(claimsOf(app.id, rule, rule.branch), own))) return;
  throw new Problem('forbidden', 'Not enough permissions: a rule of ci may grant no more than your token allows');
}

function fits(rule: CiRule, job: CiJob, branch: string): boolean {
  const glob = parseGlob(rule.branch);
  return (
    // GitHub's names are the same in any letter case.
    rule.repository.toLowerCase() === job.repository.toLowerCase() && glob !== undefined && globMatches(glob, branch)
  );
}

function claimsOf(app: string, { scopes, environments }: CiRule, branch: string): Claims {
  return { sub: '', scope: scopes, prefixes: [], apps: [app], repos: environments, environments, branches: [branch] };
}
