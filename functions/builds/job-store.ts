import type { IndexEntries, RecordKey, Records } from '../ports/records.ts';
import { createRecord, getRecord, updateRecord, type Shape } from '../ports/update.ts';
import { isJobEnd, type Job } from './job.ts';

/** Jobs that are not settled: the list of work of whoever reconciles. */
export const openJobs = 'jobs/open';
/** Hooks whose calls were given up. */
export const deadHooks = 'hooks/dead';

/** A record holds 400 KiB; what is longer is cut at its end. */
const mostLogCharacters = 200_000;

const shape: Shape<Job> = { what: 'job', indexesOf };

function indexesOf(job: Job): IndexEntries {
  const sort = `${String(job.createdAt).padStart(14, '0')}/${job.id}`;
  const isDead = job.work.kind === 'hook' && job.state.status === 'broken';
  return {
    ...(job.settled ? {} : { open: { partition: openJobs, sort } }),
    ...(isDead ? { lookup: { partition: deadHooks, sort } } : {}),
  };
}

const keyOf = (id: number): RecordKey => ({ partition: `job/${id}`, sort: 'job' });

/** False when there is one of that id. */
export async function createJob(records: Records, job: Job): Promise<boolean> {
  return (await createRecord(records, shape, { key: keyOf(job.id), value: job })) !== undefined;
}

export async function findJob(records: Records, id: number): Promise<Job | undefined> {
  return (await records.find<Job>(keyOf(id)))?.value;
}

/** Throws `Problem('not-found')`. */
export async function getJob(records: Records, id: number): Promise<Job> {
  return (await getRecord<Job>(records, shape, { key: keyOf(id), id: String(id) })).value;
}

/** Takes back a job that nobody was told of. */
export async function forgetJob(records: Records, id: number): Promise<void> {
  const stored = await records.find<Job>(keyOf(id));
  if (stored) await records.remove(stored);
}

export async function changeJob(records: Records, id: number, change: (job: Job) => Job | undefined): Promise<Job> {
  return (await updateRecord(records, shape, { key: keyOf(id), id: String(id), change })).value;
}

/** Adds lines to a job's log. */
export async function logJob(records: Records, id: number, ...lines: readonly string[]): Promise<Job> {
  return await changeJob(records, id, (job) => withLines(job, lines));
}

/**
 * The job with more lines, for people; clients count them in bytes or in characters, so they are ASCII. What ended says
 * no more. Pure.
 */
export function withLines(job: Job, lines: readonly string[]): Job {
  if (isJobEnd(job.state)) return job;
  const log = job.log + lines.map((line) => `${asAscii(line)}\n`).join('');
  if (log.length <= mostLogCharacters) return { ...job, log };
  const rest = 'The log is too long; the rest of it is left out\n';
  return { ...job, log: job.log.endsWith(rest) ? job.log : `${log.slice(0, mostLogCharacters)}\n${rest}` };
}

export function asAscii(text: string): string {
  return text.replaceAll(/[^\t\x20-\x7e]/g, (character) => (character === '’' ? "'" : '?'));
}
