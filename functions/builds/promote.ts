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
import { makeJob } from './new-job.ts';
import type { Job, PromotedArtifact } from './job.ts';

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
  return await beginJob(ports, seed, {
    work: { kind: 'promote', from: parent, promoted },
    app,
    repo: environment,
    createdBy: actor,
  });
}

export type Onward = Place & {
  readonly artifact: Digest;
  readonly cause: string;
  readonly actor: string;
  /** The deployment by which the environment gets it, where one does. */
  readonly after?: string;
};

/**
 * The promotions to the environments that take by themselves what an environment has, once for each cause. They are
 * written down and not begun: whoever is killed before that is replaced, and none goes on before the deployment it is
 * to come `after` has succeeded.
 */
export async function planOnward(
  { records, clock }: Pick<ApiPorts, 'records' | 'clock'>,
  { app, environment: from, artifact: digest, cause, actor, after }: Onward,
): Promise<readonly Job[]> {
  const record = await findApp(records, app);
  const onward = (record?.app.environments ?? []).filter(
    ({ parent, promotion }) => parent === from && promotion === 'automatic',
  );
  if (onward.length === 0) return [];
  const promoted = await promotedArtifact(records, app, digest);
  const work = { kind: 'promote', from, promoted, ...(after === undefined ? {} : { after }) } as const;
  const jobs: Job[] = [];
  for (const { name: repo } of onward) {
    const seed = `promotion/${cause}/${repo}`;
    jobs.push(await makeJob({ records, clock }, seed, { work, app, repo, createdBy: actor }));
  }
  return jobs;
}

async function promotedArtifact(records: ApiPorts['records'], app: string, digest: Digest): Promise<PromotedArtifact> {
  const { kind, manifest } = await getArtifact(records, app, digest);
  return { digest, kind, ...(manifest ? { manifest } : {}) };
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
  return await promotedArtifact(records, from.app, digest);
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
