import type { JobView } from '../../functions/api/build-shapes.ts';
import type { Client } from '../client.ts';
import type { Session } from '../session.ts';
import { printable } from '../terminal-text.ts';
import { jobStates } from './states.ts';

export type Following = {
  readonly client: Client;
  /** Made by `path`: of the job itself, or of the build whose commit or publish it is. */
  readonly path: string;
  readonly signal: AbortSignal;
};

/**
 * Prints what a job writes until it has ended, and answers with it as it ended. The server is asked every second, and
 * less often while nothing happens; rejects when the signal is aborted, or the server stays away for two minutes.
 */
export async function followJob(session: Session, { client, path, signal }: Following): Promise<JobView> {
  const print = linePrinter(session);
  let offset = 0;
  let seconds = 0.3;
  for (;;) {
    const { body: job } = await client.request<JobView>({
      method: 'QUERY',
      path,
      // Counted in characters: logs of jobs are ASCII.
      body: { 'log-offset': offset },
      signal,
      patienceSeconds,
    });
    offset += job.log.length;
    print(job, job.log);
    if (job.status === jobStates.ended || job.status === jobStates.broken) {
      print(job, '\n');
      return job;
    }
    await session.world.pause(seconds * 1000, signal);
    seconds = job.log === '' ? Math.min(Math.floor(seconds) + 1, 5) : 1;
  }
}

/** What a job says it led to; empty while it says nothing. */
export function resultsOf({ results }: JobView): Readonly<Record<string, unknown>> {
  return results === undefined ? {} : parsedText(results);
}

/** An object that came as text; empty where it is none. */
export function parsedText(text: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** Why a job failed, as it says; undefined when it did not fail. */
export function failureOf(job: JobView): string | undefined {
  if (job.status !== jobStates.broken) return undefined;
  const said = resultsOf(job)['error-message'];
  return typeof said === 'string' && said !== '' ? said : 'it does not say why';
}

const patienceSeconds = 120;

/** Whole lines only, also of a log that was read in the middle of one. */
function linePrinter(session: Session): (job: JobView, text: string) => void {
  let rest = '';
  return ({ id }, text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines.filter((each) => each !== '')) {
      if (session.json) session.document({ type: 'log', job: id, text: line });
      else session.line(`${session.style.paint('dim', '  |')} ${printable(line)}`);
    }
  };
}
