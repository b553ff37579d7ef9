import { globMatches, parseGlob } from '../apps/glob.ts';
import type { AppRecord } from '../apps/registry.ts';
import type { Environment } from '../apps/schema.ts';
import type { PushEvent } from './push.ts';

export type Match = { readonly record: AppRecord; readonly environment: Environment };

/**
 * The environments to which a push is deployed, of the apps whose source is its repository: those that follow its
 * branch, or its tag. One with a parent takes promotions only. Pure.
 */
export function matchPush(push: PushEvent, apps: readonly AppRecord[]): readonly Match[] {
  if (push.commit === undefined) return [];
  return apps.flatMap((record) =>
    record.app.environments
      .filter((environment) => environment.parent === undefined && follows(environment, push))
      .map((environment) => ({ record, environment })),
  );
}

function follows(environment: Environment, { kind, name }: PushEvent): boolean {
  const followed = kind && environment[kind];
  if (followed === undefined) return false;
  const glob = parseGlob(followed);
  return glob !== undefined && globMatches(glob, name);
}
