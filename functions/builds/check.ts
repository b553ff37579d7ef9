import type { CheckSettings } from '../apps/schema.ts';
import type { WorkflowPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import { beginJob, endJob, type JobPorts } from './job-turn.ts';
import { changeJob, findJob, getJob } from './job-store.ts';
import { isJobEnd, type Job } from './job.ts';
import { jobOfSeed, type NewJob } from './new-job.ts';
import { checkRunId } from './job-log.ts';
import type { JobStep } from './job-step.ts';
import type { BuildCheck, CheckStatus, UploadBuild } from './upload-build.ts';
import { afterChecks } from './upload-state.ts';
import { appOf, changeUpload, getUpload } from './upload-store.ts';

type CheckJob = Job & { readonly work: Extract<Job['work'], { kind: 'check' }> };

/** A check that lost its machine is run again, so often. */
const mostRuns = 5;

/** The checks of a build that its commit job has made an artifact of, each with a job of its own, not begun yet. */
export async function planChecks(
  ports: Pick<WorkflowPorts, 'records' | 'clock'>,
  { job, checks }: { readonly job: Job; readonly checks: readonly CheckSettings[] },
): Promise<readonly BuildCheck[]> {
  return await Promise.all(
    checks.map(async (settings) => {
      const { seed, wanted } = checkJob(job, settings);
      const { id: jobId } = await jobOfSeed(ports, seed, wanted);
      return { name: settings.name, jobId, settings, outcome: { status: 'pending' }, results: null };
    }),
  );
}

/** Begins the checks of a build that have not been begun; safe to repeat. */
export async function beginChecks(
  ports: JobPorts & Pick<WorkflowPorts, 'records' | 'clock'>,
  build: UploadBuild,
): Promise<void> {
  const commit = build.commitJobId === undefined ? undefined : await findJob(ports.records, build.commitJobId);
  if (!commit) return;
  for (const { name, outcome, settings, jobId } of build.checks) {
    if (outcome.status !== 'pending') continue;
    const { seed, wanted } = checkJob(commit, settings);
    // Its number may have been taken by another job since it was planned.
    const { id } = await jobOfSeed(ports, seed, wanted);
    if (id !== jobId)
      await changeUpload(ports.records, build.id, (found) => renumbered(found, { name, from: jobId, to: id }));
    await beginJob(ports, seed, wanted);
  }
}

function renumbered(
  build: UploadBuild,
  { name, from, to }: { readonly name: string; readonly from: number; readonly to: number },
): UploadBuild {
  const checks = build.checks.map((check) =>
    check.name === name && check.jobId === from ? { ...check, jobId: to } : check,
  );
  return { ...build, checks };
}

function checkJob(
  { id, work, app, createdBy }: Job,
  settings: CheckSettings,
): { readonly seed: string; readonly wanted: NewJob } {
  if (work.kind !== 'commit') throw new Error('Only what a commit makes is checked');
  const check = { kind: 'check', build: work.build, settings, runs: 0 } as const;
  return { seed: `commit/${id}/check/${settings.name}`, wanted: { work: check, app, repo: null, createdBy } };
}

/** Says what is to be run for a check, until there is an outcome. */
export async function workOnCheck(ports: WorkflowPorts, job: CheckJob): Promise<JobStep> {
  const { settings, runs } = job.work;
  const build = await getUpload(ports.records, job.work.build);
  const check = build.checks.find(({ jobId }) => jobId === job.id);
  if (!check || !build.artifact) return { next: 'broken', reason: 'The build knows nothing of this check' };
  if (check.outcome.status !== 'pending') return ended(check.outcome);
  const id = checkRunId(job.id, runs);
  const { name, command, image, timeoutMinutes } = settings;
  return {
    next: 'build',
    build: {
      id,
      kind: 'check',
      spec: {
        buildId: id,
        app: appOf(build),
        deploymentId: id,
        timeoutSeconds: timeoutMinutes * 60,
        work: {
          kind: 'check',
          check: {
            name,
            artifact: build.artifact,
            ...(command === undefined ? {} : { command }),
            ...(image === undefined ? {} : { image }),
          },
        },
      },
    },
  };
}

/** How a check's run has ended; `interrupted`: it says nothing of the build. */
export type CheckRun =
  | { readonly status: 'succeeded' }
  | { readonly status: 'interrupted' | 'failed'; readonly reason: string };

/** Takes in how the run of a check ended; one that lost its machine is run again. */
export async function recordCheckRun(ports: WorkflowPorts, job: CheckJob, run: CheckRun): Promise<void> {
  const { settings, runs } = job.work;
  if (isJobEnd(job.state)) return;
  if (run.status === 'interrupted' && runs + 1 < mostRuns) {
    await changeJob(ports.records, job.id, (found) =>
      found.work.kind === 'check' && found.work.runs === runs
        ? { ...found, work: { ...found.work, runs: runs + 1 } }
        : undefined,
    );
    return;
  }
  await setOutcome(ports, job, { outcome: outcomeOf(settings, run) });
}

/** A failure counts as its settings say; pure. */
export function outcomeOf({ required, reviewable }: CheckSettings, run: CheckRun): CheckStatus {
  if (run.status === 'succeeded') return { status: 'passed' };
  if (reviewable) return { status: 'review-required', reason: run.reason };
  return { status: required ? 'failed' : 'passed-with-warnings', reason: run.reason };
}

/**
 * Gives a check its outcome, and the build what follows from it. An outcome that a person gave stays, but for a run that
 * failed: what was given in advance does not hide it.
 */
async function setOutcome(ports: WorkflowPorts, job: CheckJob, told: { readonly outcome: CheckStatus }): Promise<void> {
  const set = await changeUpload(ports.records, job.work.build, (build) =>
    withOutcome(build, job.id, (check) =>
      check.outcome.status === 'pending' || told.outcome.status === 'failed' ? { ...check, ...told } : check,
    ),
  );
  const outcome = set.checks.find(({ jobId }) => jobId === job.id)?.outcome ?? told.outcome;
  const { lines = [], ...end } = ended(outcome);
  await changeJob(ports.records, job.id, (found) =>
    isJobEnd(found.state) ? undefined : { ...found, logAfter: lines.map((line) => `${line}\n`).join('') },
  );
  const state = { status: 'ended', endedAt: ports.clock(), results: 'results' in end ? end.results : {} } as const;
  await endJob(ports, job.id, { state });
}

/** A check whose job broke down failed: nothing says that the build is well. */
export async function failCheck(ports: WorkflowPorts, job: CheckJob, reason: string): Promise<void> {
  await changeUpload(ports.records, job.work.build, (build) =>
    withOutcome(build, job.id, (check) =>
      check.outcome.status === 'pending'
        ? { ...check, outcome: outcomeOf(job.work.settings, { status: 'failed', reason }) }
        : check,
    ),
  );
}

export type Review = { readonly job: number; readonly outcome: CheckStatus; readonly results?: string | undefined };

/** A person says how a check is to count. Throws `Problem('not-found')` for a job that is no check's. */
export async function reviewCheck(
  { records }: Pick<WorkflowPorts, 'records'>,
  { job: id, outcome, results }: Review,
): Promise<UploadBuild> {
  const job = await getJob(records, id);
  if (job.work.kind !== 'check') throw new Problem('not-found', `The job ${id} is no check`);
  return await changeUpload(records, job.work.build, (build) =>
    withOutcome(build, id, (check) => ({ ...check, outcome, results: results ?? check.results })),
  );
}

function withOutcome(
  build: UploadBuild,
  job: number,
  change: (check: BuildCheck) => BuildCheck,
): UploadBuild | undefined {
  const checks = build.checks.map((check) => (check.jobId === job ? change(check) : check));
  const isSame = checks.every((check, index) => check === build.checks[index]);
  return isSame ? undefined : afterChecks({ ...build, checks });
}

function ended(outcome: CheckStatus): Extract<JobStep, { next: 'ended' }> {
  const reason = 'reason' in outcome ? `: ${outcome.reason}` : '';
  return { next: 'ended', results: {}, lines: [`The check is ${outcome.status}${reason}`] };
}
