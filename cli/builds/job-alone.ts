import type { Client } from '../client.ts';
import { exitCodes, type ExitCode } from '../exit.ts';
import { untilInterrupted } from '../logs/until-interrupted.ts';
import type { Session } from '../session.ts';
import { printable } from '../terminal-text.ts';
import { failureOf, followJob, resultsOf } from './follow-job.ts';

export type JobAlone = {
  readonly client: Client;
  /** Made by `path`. */
  readonly path: string;
  /** For sentences: `Publishing build 7`. */
  readonly what: string;
  /** The call that follows it again. */
  readonly again: string;
};

/** Follows a job, and tells how it ended. */
export async function followAlone(
  session: Session,
  { client, path, what, again }: JobAlone,
): Promise<{ readonly exitCode: ExitCode; readonly results: Readonly<Record<string, unknown>> }> {
  const sentence = `Stopped following; it goes on. Follow it again: ${again}`;
  const job = await untilInterrupted(
    session.world,
    sentence,
    async (signal) => await followJob(session, { client, path, signal }),
  );
  const failure = failureOf(job);
  const results = resultsOf(job);
  const status = failure === undefined ? 'ended' : 'broken';
  if (session.json) session.document({ type: 'job', id: job.id, kind: job.kind, status, results });
  else if (failure === undefined) session.line(session.style.paint('good', printable(`${what}: done.`)));
  else session.line(session.style.paint('bad', printable(`${what} failed: ${failure}`)));
  return { exitCode: failure === undefined ? exitCodes.done : exitCodes.failed, results };
}
