import { v5 } from 'uuid';
import { getApp } from '../apps/registry.ts';
import { getArtifact } from '../artifacts/store.ts';
import { movePointer, readPointer, type Published } from '../artifacts/pointer.ts';
import { environmentOf, requestDeployment } from '../deployments/request.ts';
import { isEnd } from '../deployments/state.ts';
import { getDeployment } from '../deployments/store.ts';
import type { Trigger } from '../deployments/deployment.ts';
import type { WorkflowPorts } from '../ports/ports.ts';
import { beginHooks } from './hook.ts';
import type { Job, JobWork } from './job.ts';
import type { JobStep } from './job-step.ts';
import { resumeJob } from './job-turn.ts';
import { planOnward } from './promote.ts';
import { appOf, changeUpload, getUpload } from './upload-store.ts';

type Publishing = Extract<JobWork, { kind: 'publish' | 'promote' | 'republish' }>;
type PublishJob = Job & { readonly work: Publishing };

/** Names the deployment of a publication: however often its job runs, there is one. */
const publishNamespace = '6f0c0f0e-9d58-4a5c-8f43-0d5a9f1c7e24';

/** What is to be published, and where; or why not. */
type Wanted = {
  readonly app: string;
  readonly environment: string;
  readonly published: Published;
  readonly trigger: Trigger;
};

/**
 * Publishes: moves the environment's pointer, starts the deployment of what can be run, and tells the hooks. Each part is
 * done once, however often it is begun.
 */
export async function workOnPublish(ports: WorkflowPorts, job: PublishJob): Promise<JobStep> {
  const early = await whyNotYet(ports, job.work);
  if (early) return early;
  const wanted = await whatToPublish(ports, job);
  if (typeof wanted === 'string') return { next: 'broken', reason: wanted };
  const { app, environment, published } = wanted;
  environmentOf(await getApp(ports.records, app), environment);
  // Nothing is published that was pruned meanwhile: a check that had failed may be reviewed long after.
  await getArtifact(ports.records, app, published.artifact);
  if (job.work.kind !== 'republish') await movePointer(ports.records, { app, environment }, published);
  const deployment = published.kind === 'ostree' ? undefined : await deploy(ports, job, wanted);
  if (job.work.kind === 'publish') await markPublished(ports, job, job.work.build);
  await beginHooks(ports, job, { ...wanted, ...(deployment ? { deployment } : {}) });
  // What is run is promoted when its deployment has succeeded.
  if (!deployment) await promoteOnward(ports, job, wanted);
  return {
    next: 'ended',
    results: { artifact: published.artifact, ...(deployment ? { deployment } : await refsOf(ports, job)) },
    lines: [
      `Published ${published.artifact} to ${environment}`,
      ...(deployment ? [`The deployment ${deployment} brings it there`] : []),
    ],
  };
}

/** What promotes itself waits for the deployment it comes from to succeed; undefined when it has. */
async function whyNotYet({ records }: WorkflowPorts, work: Publishing): Promise<JobStep | undefined> {
  if (work.kind !== 'promote' || work.after === undefined) return undefined;
  const { state } = await getDeployment(records, work.after);
  if (state.status === 'succeeded') return undefined;
  if (!isEnd(state)) return { next: 'wait', seconds: 2 };
  const line = `Nothing is promoted: the deployment ${work.after} is ${state.status}`;
  return { next: 'ended', results: {}, lines: [line] };
}

async function promoteOnward(
  ports: WorkflowPorts,
  { id, createdBy: actor }: Job,
  { app, environment, published: { artifact } }: Wanted,
): Promise<void> {
  const planned = await planOnward(ports, { app, environment, artifact, cause: `job/${id}`, actor });
  for (const job of planned) await resumeJob(ports, job);
}

async function whatToPublish(ports: WorkflowPorts, job: PublishJob): Promise<Wanted | string> {
  const { work, createdBy: by } = job;
  const once = { jobId: job.id, at: ports.clock(), by };
  switch (work.kind) {
    case 'publish': {
      const build = await getUpload(ports.records, work.build);
      const isOurs = 'jobId' in build.published && build.published.jobId === job.id;
      if (!isOurs || !build.artifact) return 'The build is not to be published by this job';
      const { digest: artifact, kind, manifest } = build.artifact;
      return {
        app: appOf(build),
        environment: build.repo,
        published: { artifact, kind, manifest, build: build.id, ...once },
        trigger: { kind: 'publish', actor: by, build: build.id },
      };
    }
    case 'promote': {
      const { digest: artifact, kind, manifest } = work.promoted;
      return {
        ...placeOf(job),
        published: { artifact, kind, from: work.from, ...(manifest ? { manifest } : {}), ...once },
        trigger: { kind: 'promotion', actor: by, from: work.from },
      };
    }
    case 'republish': {
      const place = placeOf(job);
      const [current] = (await readPointer(ports.records, place)).history;
      if (!current) return `Nothing was published in ${place.environment} of ${place.app} yet`;
      return { ...place, published: { ...current, ...once }, trigger: { kind: 'publish', actor: by } };
    }
  }
}

function placeOf({ id, app, repo }: Job): { app: string; environment: string } {
  if (app === undefined || repo === null) throw new Error(`The job ${id} publishes, and is of no environment`);
  return { app, environment: repo };
}

async function deploy(
  ports: WorkflowPorts,
  job: Job,
  { app, environment, published, trigger }: Wanted,
): Promise<string> {
  const { id } = await requestDeployment(ports, {
    id: v5(`publish/${job.id}`, publishNamespace),
    app,
    environment,
    request: { kind: 'artifact', digest: published.artifact },
    trigger,
  });
  return id;
}

async function markPublished(ports: WorkflowPorts, job: Job, id: number): Promise<void> {
  const at = ports.clock();
  await changeUpload(ports.records, id, (build) =>
    build.published.status === 'publishing' && build.published.jobId === job.id
      ? { ...build, published: { ...build.published, status: 'published', at } }
      : undefined,
  );
}

/** A publication that could not be carried out says so at its build. */
export async function failPublish(ports: WorkflowPorts, job: PublishJob, reason: string): Promise<void> {
  if (job.work.kind !== 'publish') return;
  await changeUpload(ports.records, job.work.build, (build) =>
    build.published.status === 'publishing' && build.published.jobId === job.id
      ? { ...build, published: { status: 'failed', reason } }
      : undefined,
  );
}

async function refsOf(ports: WorkflowPorts, { work }: PublishJob): Promise<{ refs: Record<string, string> }> {
  if (work.kind !== 'publish') return { refs: {} };
  const { refs } = await getUpload(ports.records, work.build);
  return { refs: Object.fromEntries(refs.map(({ ref, commit }) => [ref, commit])) };
}
