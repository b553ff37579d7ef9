import type { ReconcilePorts } from '../ports/ports.ts';
import { messageOf } from '../runtime/errors.ts';
import { getJob, openJobs } from './job-store.ts';
import { resumeJob } from './job-turn.ts';
import type { Job } from './job.ts';
import { mayBegin } from './new-job.ts';
import { finishPurges } from './purge.ts';

/** Each asks whether its execution runs: one after the other, a thousand hooks that wait would take a minute. */
const atOnce = 10;

/**
 * Goes on with every job that lost its worker, and with every purge that lost its caller; harmless for those that are
 * well. How many jobs had lost theirs.
 */
export async function reconcileJobs(
  ports: Pick<ReconcilePorts, 'records' | 'clock' | 'log' | 'jobs'>,
  isInTime: () => boolean,
): Promise<number> {
  let findings = 0;
  let after: string | undefined;
  do {
    const query = { partition: openJobs, index: 'open', limit: 100, ...(after ? { after } : {}) } as const;
    const page = await ports.records.list<Job>(query);
    for (let at = 0; at < page.items.length; at += atOnce) {
      if (!isInTime()) return findings;
      const some = page.items.slice(at, at + atOnce);
      const found = await Promise.all(some.map(async ({ value }) => await resumeOne(ports, value.id)));
      findings += found.filter(Boolean).length;
    }
    after = page.next;
  } while (after);
  if (isInTime()) await finishPurges(ports);
  return findings;
}

/** Whether it had lost its worker. One that cannot go on must not keep the others from it. */
async function resumeOne(
  ports: Pick<ReconcilePorts, 'records' | 'clock' | 'log' | 'jobs'>,
  id: number,
): Promise<boolean> {
  try {
    // The index may be behind the record.
    const job = await getJob(ports.records, id);
    if (job.settled || (await ports.jobs.isRunning(String(id))) || !(await mayBegin(ports, job))) return false;
    await resumeJob(ports, job);
    // One that waits in its lane, or was made a moment ago, has no worker yet.
    return job.state.status === 'started';
  } catch (error) {
    ports.log.error('job not resumed', { job: id, error: messageOf(error) });
    return true;
  }
}
