import { recordCheckRun, type CheckRun } from '../builds/check.ts';
import { checkRunId } from '../builds/job-log.ts';
import { getJob } from '../builds/job-store.ts';
import { describeBuilt, type Built } from './built.ts';
import { maxReasonCharacters, type JobInput, type Step } from './step.ts';

/** Takes in how the run of a check ended. */
export const recordCheck: Step<JobInput & { readonly buildId: string; readonly built: unknown }> = async (
  ports,
  { jobId, buildId, built },
) => {
  const job = await getJob(ports.records, Number(jobId));
  const { work } = job;
  // A late answer of a run that was begun anew meanwhile says nothing.
  if (work.kind !== 'check' || buildId !== checkRunId(job.id, work.runs)) return {};
  await recordCheckRun(ports, { ...job, work }, runOf(describeBuilt(built, job.app ?? '')));
  return {};
};

function runOf(built: Built): CheckRun {
  if (built.status === 'succeeded') return { status: 'succeeded' };
  const reason = built.reason.slice(0, maxReasonCharacters);
  return { status: built.status === 'interrupted' ? 'interrupted' : 'failed', reason };
}
