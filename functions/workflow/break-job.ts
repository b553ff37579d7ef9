import { failCheck } from '../builds/check.ts';
import { getJob } from '../builds/job-store.ts';
import { endJob } from '../builds/job-turn.ts';
import { isJobEnd, type Job } from '../builds/job.ts';
import { failPublish } from '../builds/publish-work.ts';
import { reopened } from '../builds/upload-state.ts';
import { changeUpload } from '../builds/upload-store.ts';
import type { WorkflowPorts } from '../ports/ports.ts';
import { causeOf, type CaughtError, type JobInput, type Step } from './step.ts';

/** Ends a job whose work failed again and again: it says so, and what it was for is not left waiting. */
export const breakJob: Step<JobInput & { readonly error: CaughtError }> = async (ports, { jobId, error }) => {
  const job = await getJob(ports.records, Number(jobId));
  if (!isJobEnd(job.state)) await endBroken(ports, job, { reason: causeOf(error) });
  return {};
};

/** Says at what the job was for that it failed, and ends it; safe to repeat. */
export async function endBroken(
  ports: WorkflowPorts,
  job: Job,
  { reason, lines = [] }: { readonly reason: string; readonly lines?: readonly string[] },
): Promise<void> {
  await tellFailure(ports, job, reason);
  const state = { status: 'broken', endedAt: ports.clock(), reason } as const;
  await endJob(ports, job.id, { state, lines: lines.length > 0 ? lines : [reason] });
  ports.log.info('job broken', { job: job.id, kind: job.work.kind, app: job.app ?? null });
}

async function tellFailure(ports: WorkflowPorts, job: Job, reason: string): Promise<void> {
  const { work } = job;
  switch (work.kind) {
    case 'commit':
      // Open again: what was missing can be sent, and what failed here may not fail the next time.
      await changeUpload(ports.records, work.build, (build) => reopened(build, job.id, reason));
      return;
    case 'publish':
    case 'promote':
    case 'republish':
      return await failPublish(ports, { ...job, work }, reason);
    case 'check':
      return await failCheck(ports, { ...job, work }, reason);
    case 'prune':
    case 'hook':
      return;
  }
}
