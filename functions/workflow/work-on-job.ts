import { workOnCheck } from '../builds/check.ts';
import { workOnCommit } from '../builds/commit-work.ts';
import { workOnHook } from '../builds/hook.ts';
import { changeJob, getJob } from '../builds/job-store.ts';
import type { JobStep } from '../builds/job-step.ts';
import { endJob, resumeJob } from '../builds/job-turn.ts';
import { isJobEnd, type Job } from '../builds/job.ts';
import { workOnPrune } from '../builds/prune.ts';
import { workOnPublish } from '../builds/publish-work.ts';
import type { WorkflowPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import { endBroken } from './break-job.ts';
import { specJson } from './resolve.ts';
import { maxReasonCharacters, type JobInput, type Step } from './step.ts';

const done = { next: 'done', waitSeconds: 0, build: null } as const;

/** Does a piece of a job's work, and says how the workflow goes on. Begun again from its top, a job goes on where it was. */
export const workOnJob: Step<JobInput> = async (ports, { jobId }) => {
  const job = await getJob(ports.records, Number(jobId));
  if (isJobEnd(job.state)) {
    await resumeJob(ports, job);
    return done;
  }
  const started = await changeJob(ports.records, job.id, (found) =>
    found.state.status === 'new' ? { ...found, state: { status: 'started' } } : undefined,
  );
  const step = await work(ports, started);
  switch (step.next) {
    case 'again':
      return { next: 'again', waitSeconds: 0, build: null };
    case 'wait':
      return { next: 'wait', waitSeconds: Math.max(1, Math.ceil(step.seconds)), build: null };
    case 'build':
      return { next: 'build', waitSeconds: 0, build: describeBuild(ports, step.build) };
    case 'ended': {
      const { results, lines = [] } = step;
      await endJob(ports, job.id, { state: { status: 'ended', endedAt: ports.clock(), results }, lines });
      return done;
    }
    case 'broken':
      await endBroken(ports, started, step);
      return done;
  }
};

/** What is refused now is refused the next time: the job is over, and says why. */
async function work(ports: WorkflowPorts, job: Job): Promise<JobStep> {
  try {
    return await workOn(ports, job);
  } catch (error) {
    if (!(error instanceof Problem) || error.kind === 'busy') throw error;
    return { next: 'broken', reason: error.message.slice(0, maxReasonCharacters) };
  }
}

async function workOn(ports: WorkflowPorts, job: Job): Promise<JobStep> {
  const { work } = job;
  switch (work.kind) {
    case 'commit':
      return await workOnCommit(ports, { ...job, work });
    case 'publish':
    case 'promote':
    case 'republish':
      return await workOnPublish(ports, { ...job, work });
    case 'check':
      return await workOnCheck(ports, { ...job, work });
    case 'prune':
      return await workOnPrune(ports, { ...job, work });
    case 'hook':
      return await workOnHook(ports, { ...job, work });
  }
}

/** As the definition hands it to the builder; the timeout for the service is in whole minutes, the agent keeps the exact one. */
function describeBuild({ policy }: WorkflowPorts, { id, kind, spec }: Extract<JobStep, { next: 'build' }>['build']) {
  const timeoutMinutes = Math.max(5, Math.ceil(spec.timeoutSeconds / 60));
  return { id, app: spec.app, kind, spec: specJson(spec, policy), timeoutMinutes };
}
