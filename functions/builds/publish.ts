import { getApp } from '../apps/registry.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import { buildableEnvironment } from './create.ts';
import { getJob } from './job-store.ts';
import { resumeJob, takeJobTurn, type JobPorts } from './job-turn.ts';
import type { Job } from './job.ts';
import { claimByJob } from './new-job.ts';
import { publishing } from './upload-state.ts';
import { appOf, changeUpload, getUpload } from './upload-store.ts';

export type PublishRequest = {
  readonly build: number;
  /** Who asks, by the name of the token, and by its id. */
  readonly actor: string;
  readonly caller: string;
};

type PublishPorts = JobPorts & Pick<ApiPorts, 'newId'>;

/**
 * Begins to publish a build: its job moves the environment's pointer and starts the deployment. Asked again by whoever
 * asked before, it is the same job: an answer may be lost. Throws `Problem('wrong-repo-state')` for a build that is not
 * ready, `Problem('wrong-published-state')` for one that another has published, and `Problem('conflict')` for an
 * environment that has a parent.
 */
export async function requestPublish(ports: PublishPorts, { build: id, actor, caller }: PublishRequest): Promise<Job> {
  const build = await getUpload(ports.records, id);
  const { published } = build;
  const isAsker = 'by' in published && published.by === caller;
  if (isAsker) return await goOn(ports, published.jobId);
  publishing(build, { jobId: 0, by: caller });
  const app = appOf(build);
  buildableEnvironment(await getApp(ports.records, app), build.repo);
  const wanted = { work: { kind: 'publish', build: id }, app, repo: build.repo, createdBy: actor } as const;
  try {
    const { job } = await claimByJob(ports, wanted, async (made) => {
      return await changeUpload(ports.records, id, (found) => publishing(found, { jobId: made.id, by: caller }));
    });
    await takeJobTurn(ports, job);
    return job;
  } catch (error) {
    // The same caller may have asked twice at once, and the other one was first.
    const now = (await getUpload(ports.records, id)).published;
    if (error instanceof Problem && 'by' in now && now.by === caller) return await goOn(ports, now.jobId);
    throw error;
  }
}

async function goOn(ports: PublishPorts, id: number): Promise<Job> {
  const job = await getJob(ports.records, id);
  await resumeJob(ports, job);
  return job;
}

/** The job that published a build; throws `Problem('not-found')` when none has. */
export function publishJobOf({ publishJobId }: { readonly publishJobId?: number }): number {
  if (publishJobId !== undefined) return publishJobId;
  throw new Problem('not-found', 'The build was not published');
}
