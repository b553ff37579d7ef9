import type { Ports } from '../ports/ports.ts';
import { asAscii } from './job-store.ts';
import type { Job } from './job.ts';

/** A check may print for hours: of each run so many lines are told, all of them by `…/build/<run>/logs`. */
const mostLines = 5000;

/**
 * What a job has told so far. A check tells what its runs print, as it is printed; and what was told once stays in its
 * place, so that who has read so many characters reads on behind them.
 */
export async function jobLog(
  ports: { readonly builder: Pick<Ports['builder'], 'logs'> },
  { id, work, log, logAfter = '' }: Job,
): Promise<string> {
  if (work.kind !== 'check') return log;
  const runs = Array.from({ length: work.runs + 1 }, (_, run) => checkRunId(id, run));
  const printed = await Promise.all(runs.map(async (run) => await linesOf(ports, run)));
  return log + printed.join('') + logAfter;
}

/** The build that a run of a check is. */
export function checkRunId(job: number, run: number): string {
  return `check-${job}-${run}`;
}

async function linesOf(
  { builder }: { readonly builder: Pick<Ports['builder'], 'logs'> },
  run: string,
): Promise<string> {
  const { lines } = await builder.logs(run, { limit: mostLines });
  return lines.map(({ text }) => `${asAscii(text)}\n`).join('');
}
