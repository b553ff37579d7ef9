import type { ApiPorts } from '../ports/ports.ts';
import { isEnd } from '../deployments/state.ts';
import { findDeployment } from '../deployments/store.ts';
import { Problem } from '../runtime/errors.ts';
import { numberOf } from './number.ts';
import { createJob, findJob, forgetJob } from './job-store.ts';
import type { Job, JobWork } from './job.ts';
import { findUpload } from './upload-store.ts';

export type NewJob = {
  readonly work: JobWork;
  readonly app?: string | undefined;
  readonly repo: string | null;
  readonly createdBy: string;
};

type NewJobPorts = Pick<ApiPorts, 'records' | 'clock' | 'newId'>;

/** A job as it begins; pure. */
export function newJob(id: number, at: number, { app, ...job }: NewJob): Job {
  return {
    id,
    createdAt: at,
    ...job,
    ...(app === undefined ? {} : { app }),
    state: { status: 'new' },
    log: '',
    settled: false,
  };
}

/** Whoever makes a job claims within this what it is for: no call takes so long. */
const claimedWithinMs = 60_000;

/**
 * Whether a job may be begun by others than its maker: it has claimed what it is for, or its maker was lost before that.
 * Begun earlier, it would find nothing to do and end, and what is then claimed for it would wait for ever. And what comes
 * after a deployment would keep others waiting until that has ended.
 */
export async function mayBegin(
  { records, clock }: Pick<ApiPorts, 'records' | 'clock'>,
  { id, createdAt, work, state }: Job,
): Promise<boolean> {
  if (state.status !== 'new') return true;
  if (work.kind === 'promote' && work.after !== undefined) {
    const deployment = await findDeployment(records, work.after);
    return deployment === undefined || isEnd(deployment.state);
  }
  if (work.kind !== 'commit' && work.kind !== 'publish') return true;
  if (clock() - createdAt > claimedWithinMs) return true;
  const build = await findUpload(records, work.build);
  return build?.commitJobId === id || build?.publishJobId === id;
}

/**
 * Makes a job of a new number and claims by `claim` what it is for; where that is refused, the job is taken back. One
 * whose maker is lost in between finds, when it runs, that it was given nothing to do.
 */
export async function claimByJob<T>(
  ports: NewJobPorts,
  wanted: NewJob,
  claim: (job: Job) => Promise<T>,
): Promise<{ job: Job; claimed: T }> {
  for (;;) {
    const job = newJob(numberOf(ports.newId()), ports.clock(), wanted);
    if (!(await createJob(ports.records, job))) continue;
    try {
      return { job, claimed: await claim(job) };
    } catch (error) {
      // What failed otherwise may be claimed all the same, and only the answer was lost: then the job goes on by itself.
      if (error instanceof Problem && error.kind !== 'busy') await forgetJob(ports.records, job.id);
      throw error;
    }
  }
}

/** Writes down the job that follows from a cause; the same one when it is there already. */
export async function makeJob(ports: Pick<ApiPorts, 'records' | 'clock'>, seed: string, wanted: NewJob): Promise<Job> {
  for (;;) {
    const job = await jobOfSeed(ports, seed, wanted);
    if (await createJob(ports.records, job)) return job;
    const found = await findJob(ports.records, job.id);
    // Else another cause has taken the number in this moment.
    if (found?.seed === seed) return found;
  }
}

/**
 * The job that follows from a cause: asked again, the same one. It is not written yet where it is new; `createdAt` is
 * then now. Two causes may lead to one number, and the second takes the next.
 */
export async function jobOfSeed(
  { records, clock }: Pick<ApiPorts, 'records' | 'clock'>,
  seed: string,
  wanted: NewJob,
): Promise<Job> {
  for (let attempt = 0; ; attempt += 1) {
    const id = numberOf(`${seed}/${attempt}`);
    const found = await findJob(records, id);
    if (!found) return { ...newJob(id, clock(), wanted), seed };
    if (found.seed === seed) return found;
  }
}
