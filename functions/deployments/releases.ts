import type { RecordKey, Records } from '../ports/records.ts';
import type { EpochMs } from '../runtime/units.ts';

/** What an environment has run, newest first: the deployments that succeeded there. */
export type Release = {
  readonly deploymentId: string;
  readonly at: EpochMs;
  /** For a rollback: the deployment whose revision it brought back. */
  readonly restores?: string;
};

const maxReleases = 100;
const keyOf = (app: string, environment: string): RecordKey => ({
  partition: `releases/${app}/${environment}`,
  sort: 'releases',
});

export async function listReleases(records: Records, app: string, environment: string): Promise<readonly Release[]> {
  return (await records.find<readonly Release[]>(keyOf(app, environment)))?.value ?? [];
}

/** Remembers a deployment that succeeded; remembering it twice is harmless. */
export async function rememberRelease(
  records: Records,
  place: { app: string; environment: string },
  release: Release,
): Promise<void> {
  const key = keyOf(place.app, place.environment);
  for (;;) {
    const stored = await records.find<readonly Release[]>(key);
    const known = stored?.value ?? [];
    if (known.some(({ deploymentId }) => deploymentId === release.deploymentId)) return;
    const value = [release, ...known].slice(0, maxReleases);
    if (await (stored ? records.replace(stored, value) : records.create<readonly Release[]>(key, value))) return;
  }
}

/** Forgets what an environment has run. */
export async function forgetReleases(records: Records, app: string, environment: string): Promise<void> {
  const stored = await records.find(keyOf(app, environment));
  if (stored) await records.remove(stored);
}

/**
 * Where a rollback leads; pure. In the middle of a deploy (`rolling`, its id): to what ran before that, also when it has
 * succeeded at this very moment. Else to what ran before what runs now, where a rollback counts as what it restored, so that rolling back twice goes back two steps and not there and back.
 */
export function rollbackGoal(releases: readonly Release[], rolling?: string): Release | undefined {
  if (rolling !== undefined) return releases.find(({ deploymentId }) => deploymentId !== rolling);
  const [current] = releases;
  if (!current) return undefined;
  const restored = current.restores ?? current.deploymentId;
  const from = releases.findIndex(({ deploymentId }) => deploymentId === restored);
  return releases.slice(from + 1).find((release) => release.restores === undefined);
}
