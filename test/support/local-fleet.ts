import { createHash, randomUUID } from 'node:crypto';
import type { Artifact } from '../../functions/artifacts/artifact.ts';
import { silentLog } from '../../functions/runtime/log.ts';
import { localFleet, type LocalFleet, type LocalFleetOptions } from '../../local/fleet/fleet.ts';
import { appBundle, bundleArtifact, memoryObjects, memorySecrets, taskEnvironment } from './fleet.ts';

export type MadeFleet = {
  readonly fleet: LocalFleet;
  /** The fixture app. */
  readonly artifact: Artifact;
  /** The rollouts of which a change was told, in order. */
  readonly changes: string[];
};

/** A fleet of this machine on a data folder; another on the same folder takes over what the first left. */
export async function makeFleet(options: Partial<LocalFleetOptions> & { data: string }): Promise<MadeFleet> {
  const objects = memoryObjects();
  const digest = objects.add(await appBundle());
  const changes: string[] = [];
  const fleet = localFleet({
    dataId: createHash('sha256').update(options.data).digest('hex').slice(0, 16),
    engine: undefined,
    engineEnvironment: {},
    taskEnvironment,
    objects,
    secrets: memorySecrets({ 'apps/web/key 1': 'first-secret', 'apps/web/key 2': 'second-secret' }),
    clock: Date.now,
    newId: randomUUID,
    log: silentLog,
    onChange: (id) => changes.push(id),
    backoff: { firstMs: 50, maxMs: 1000, steadyMs: 60_000 },
    ...options,
  });
  return { fleet, artifact: bundleArtifact(digest), changes };
}
