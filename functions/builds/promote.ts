import { findApp, getApp } from '../apps/registry.ts';
import { readPointer } from '../artifacts/pointer.ts';
import { getArtifact } from '../artifacts/store.ts';
import { listReleases } from '../deployments/releases.ts';
import { environmentOf } from '../deployments/request.ts';
import { findDeployment } from '../deployments/store.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import type { Digest } from '../runtime/units.ts';
import { beginJob, type JobPorts } from './job-turn.ts';
import type { Job, PromotedArtifact } from './job.ts';
import { jobOfSeed } from './new-job.ts';

type Place = { readonly app: string; readonly environment: string };

export type PromotionRequest = Place & {
  readonly actor: string;
  /** One that the parent has run or published; left out: the one that it has now. */
  readonly artifact?: Digest | undefined;
  /** The same cause leads to one promotion. */
  readonly seed: string;
};

/**
 * Begins to promote: what the environment's parent has run comes to it, the very same artifact. Throws
 * `Problem('conflict')` for an environment without a parent, and for what the parent has not run.
 */
export async function requestPromotion(
  ports: JobPorts & Pick<ApiPorts, 'records' | 'clock'>,
  { app, environment, actor, artifact, seed }: PromotionRequest,
): Promise<Job> {
  const { parent } = environmentOf(await getApp(ports.records, app), environment);
  if (parent === undefined) {
    throw new Problem('conflict', `The environment ${environment} has no parent that could be promoted from`);
  }
  const promoted = await promotable(ports.records, { app, environment: parent }, artifact);
  const job = await jobOfSeed(ports, seed, {
    work: { kind: 'promote', from: parent, promoted },
    app,
    repo: environment,
    createdBy: actor,
  });
  await beginJob(ports, job);
  return job;
}

/** Promotes to the environments that take by themselves what an environment has; once for each cause. */
export async function promoteOnward(
  ports: JobPorts & Pick<ApiPorts, 'records' | 'clock'>,
  from: Place & { readonly cause: string; readonly actor: string },
): Promise<void> {
  const record = await findApp(ports.records, from.app);
  const onward = (record?.app.environments ?? []).filter(
    ({ parent, promotion }) => parent === from.environment && promotion === 'automatic',
  );
  for (const { name: environment } of onward) {
    const seed = `promotion/${from.cause}/${environment}`;
    await requestPromotion(ports, { app: from.app, environment, actor: from.actor, seed });
  }
}

async function promotable(
  records: ApiPorts['records'],
  from: Place,
  wanted: Digest | undefined,
): Promise<PromotedArtifact> {
  const digest = wanted ?? (await currentArtifact(records, from));
  if (digest === undefined || !(await hasHad(records, from, digest))) {
    const what = wanted === undefined ? 'anything yet' : wanted;
    throw new Problem('conflict', `The environment ${from.environment} of ${from.app} has not run ${what}`);
  }
  const { kind, manifest } = await getArtifact(records, from.app, digest);
  return { digest, kind, ...(manifest ? { manifest } : {}) };
}

/** What it runs; where it publishes what nothing runs, what it has published. */
async function currentArtifact(records: ApiPorts['records'], from: Place): Promise<Digest | undefined> {
  const [published] = (await readPointer(records, from)).history;
  if (published?.kind === 'ostree') return published.artifact;
  const [release] = await listReleases(records, from.app, from.environment);
  return release && (await findDeployment(records, release.deploymentId))?.artifact;
}

async function hasHad(records: ApiPorts['records'], from: Place, digest: Digest): Promise<boolean> {
  const { history } = await readPointer(records, from);
  if (history.some(({ artifact, kind }) => kind === 'ostree' && artifact === digest)) return true;
  for (const { deploymentId } of await listReleases(records, from.app, from.environment)) {
    if ((await findDeployment(records, deploymentId))?.artifact === digest) return true;
  }
  return false;
}
