import type { ExtendedBuildView, JobView } from '../../functions/api/build-shapes.ts';
import { path, type Client } from '../client.ts';
import { exitCodes, type ExitCode } from '../exit.ts';
import { untilInterrupted } from '../logs/until-interrupted.ts';
import type { Session } from '../session.ts';
import { printable } from '../terminal-text.ts';
import { shortDigest } from '../words.ts';
import { refusedInState } from './already.ts';
import { waitForChecks } from './checks.ts';
import { failureOf, followJob, resultsOf } from './follow-job.ts';
import { repoStates, stateText } from './states.ts';

export type Commit = {
  /** The build's id. */
  readonly build: string;
  /** Whether objects that no ref needs are dropped instead of being an error. */
  readonly dropStrays: boolean;
};

/** Commits a build, follows the job and the checks, and tells how it ended. */
export async function commitBuild(session: Session, commit: Commit): Promise<ExitCode> {
  const client = await session.client();
  const { build } = commit;
  const sentence = `Stopped following; the commit goes on. Follow it again: sluice commit ${build}`;
  return await untilInterrupted(session.world, sentence, async (signal) => {
    const isReady = (await start(session, client, commit)) === 'ready';
    const job = isReady
      ? undefined
      : await followJob(session, { client, path: path`/api/v1/build/${build}/commit`, signal });
    const failure = job && failureOf(job);
    if (failure !== undefined) return failed(session, build, failure);
    const { extended, waitsFor } = await waitForChecks(session, { client, build, signal });
    return tell(session, { extended, waitsFor, job });
  });
}

/** Whoever commits a build that somebody has committed already follows that commit. */
async function start(session: Session, client: Client, { build, dropStrays }: Commit): Promise<string> {
  try {
    await client.request<JobView>({
      method: 'POST',
      path: path`/api/v1/build/${build}/commit`,
      body: dropStrays ? { 'drop-strays': true } : {},
      idempotent: true,
      patienceSeconds: 60,
    });
    return 'committing';
  } catch (error) {
    const state = refusedInState(error);
    if (state === undefined || !['committing', 'validating', 'ready'].includes(state)) throw error;
    session.note(`Build ${build} has been committed already; it is ${state}.`);
    return state;
  }
}

function failed(session: Session, build: string, why: string): ExitCode {
  if (session.json) session.document({ type: 'commit', build: Number(build), status: 'failed', reason: why });
  else session.line(session.style.paint('bad', printable(`The commit of build ${build} failed: ${why}`)));
  session.note(`The build stays open. Push what is missing or wrong, and commit again: sluice commit ${build}`);
  return exitCodes.failed;
}

type End = {
  readonly extended: ExtendedBuildView;
  readonly waitsFor: string | undefined;
  readonly job: JobView | undefined;
};

function tell(session: Session, { extended: { build, checks }, waitsFor, job }: End): ExitCode {
  const results = job === undefined ? {} : resultsOf(job);
  const isReady = build.repo_state === repoStates.ready;
  const status = isReady ? 'committed' : stateText(build);
  if (session.json) session.document({ type: 'commit', build: build.id, status, results, checks });
  else if (isReady) session.line(session.style.paint('good', printable(committedText(build.id, results))));
  else {
    const why = waitsFor ?? build.repo_state_reason ?? 'it does not say why';
    session.line(session.style.paint('bad', printable(`Build ${build.id} is ${status}: ${why}`)));
  }
  return isReady ? exitCodes.done : exitCodes.failed;
}

function committedText(id: number, { artifact, kind }: Readonly<Record<string, unknown>>): string {
  if (typeof artifact !== 'string') return `Build ${id} is committed.`;
  return `Build ${id} is committed: ${typeof kind === 'string' ? kind : 'artifact'} ${shortDigest(artifact)}`;
}
