import { enter, leave, readLane } from '../deployments/lane-store.ts';
import type { Ports } from '../ports/ports.ts';
import type { LaneEntry } from '../deployments/lane.ts';
import { changeJob, findJob, withLines } from './job-store.ts';
import { makeJob, type NewJob } from './new-job.ts';
import { isJobEnd, type Job, type JobState } from './job.ts';

export type JobPorts = Pick<Ports, 'records' | 'clock'> & { readonly jobs: Pick<Ports['jobs'], 'start'> };

/**
 * The lane in which a job waits for those before it: one for each app and environment, and one for pruning, which looks
 * at everything. Checks and hooks have none.
 */
export function jobLane({ work, app, repo }: Pick<Job, 'work' | 'app' | 'repo'>): string | undefined {
  switch (work.kind) {
    case 'check':
    case 'hook':
      return undefined;
    case 'prune':
      return 'prune';
    case 'commit':
    case 'publish':
    case 'promote':
    case 'republish':
      return `jobs/${app ?? ''}/${repo ?? ''}`;
  }
}

/**
 * Makes the job that follows from a cause, and starts it when its turn has come; one that is there already goes on where
 * it was.
 */
export async function beginJob(ports: JobPorts, seed: string, wanted: NewJob): Promise<Job> {
  const job = await makeJob(ports, seed, wanted);
  await resumeJob(ports, job);
  return job;
}

/** Brings a job into its lane, and starts its workflow when its turn has come; safe to repeat at any time. */
export async function takeJobTurn(ports: JobPorts, job: Job): Promise<void> {
  const lane = jobLane(job);
  if (lane === undefined) return await ports.jobs.start(String(job.id));
  const entry = { holder: String(job.id), at: job.createdAt, supersedes: false };
  const entered = await enter(ports.records, lane, { entry });
  if (entered.outcome === 'active') return await ports.jobs.start(String(job.id));
  await passGone(ports, lane);
}

/** Goes on with a job wherever its worker left it; harmless for one whose worker is well. */
export async function resumeJob(ports: JobPorts, job: Job): Promise<void> {
  if (job.settled) return;
  if (isJobEnd(job.state)) await settleJob(ports, job);
  else await takeJobTurn(ports, job);
}

/** Gives a job its end, unless it has one, and its place to whoever waits. */
export async function endJob(
  ports: JobPorts,
  id: number,
  end: { readonly state: Extract<JobState, { endedAt: number }>; readonly lines?: readonly string[] },
): Promise<Job> {
  const { state, lines = [] } = end;
  const ended = await changeJob(ports.records, id, (job) =>
    isJobEnd(job.state) ? undefined : { ...withLines(job, lines), state },
  );
  return await settleJob(ports, ended);
}

async function settleJob(ports: JobPorts, job: Job): Promise<Job> {
  const lane = jobLane(job);
  const granted = lane && (await leave(ports.records, lane, { holder: String(job.id) }));
  const settled = await changeJob(ports.records, job.id, (found) =>
    found.settled ? undefined : { ...found, settled: true },
  );
  if (lane && granted) await grant(ports, lane, granted);
  return settled;
}

async function grant(ports: JobPorts, lane: string, to: LaneEntry): Promise<void> {
  let granted: LaneEntry | undefined = to;
  while (granted) {
    const next: Job | undefined = await findJob(ports.records, Number(granted.holder));
    if (next && !isJobEnd(next.state)) return await ports.jobs.start(granted.holder);
    granted = await leave(ports.records, lane, { holder: granted.holder });
  }
}

/** Nobody would ever free a lane that is held by a job that is settled, or that is not there. */
async function passGone(ports: JobPorts, lane: string): Promise<void> {
  const { active } = await readLane(ports.records, lane);
  const holder = active && (await findJob(ports.records, Number(active.holder)));
  if (!active || (holder && !holder.settled)) return;
  const granted = await leave(ports.records, lane, { holder: active.holder });
  if (granted) await grant(ports, lane, granted);
}
