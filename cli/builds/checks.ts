import type { CheckView, ExtendedBuildView } from '../../functions/api/build-shapes.ts';
import { path, type Client } from '../client.ts';
import type { Session } from '../session.ts';
import { followJob } from './follow-job.ts';
import { checkStates, repoStates } from './states.ts';

type Waiting = { readonly client: Client; readonly build: string; readonly signal: AbortSignal };

/** How a build stands when its checks are over, and the check that waits for a person, if it does. */
export type Checked = { readonly extended: ExtendedBuildView; readonly waitsFor: string | undefined };

/** Follows the checks of a build that was committed, one after the other, until it is ready, or is not going to be. */
export async function waitForChecks(session: Session, { client, build, signal }: Waiting): Promise<Checked> {
  const followed = new Set<string>();
  for (let seconds = 1; ; seconds = Math.min(seconds + 1, 5)) {
    const extended = await client.get<ExtendedBuildView>(path`/api/v1/build/${build}/extended`, {
      signal,
      patienceSeconds: 120,
    });
    const state = extended.build.repo_state;
    if (state !== repoStates.committing && state !== repoStates.validating) return { extended, waitsFor: undefined };
    const running = extended.checks.filter(({ status }) => status === checkStates.pending);
    for (const { check_name } of running.filter((check) => !followed.has(check.check_name))) {
      session.note(`Check ${check_name}:`);
      await followJob(session, { client, path: path`/api/v1/build/${build}/check/${check_name}/job`, signal });
      followed.add(check_name);
    }
    const waiting = extended.checks.find(({ status }) => status === checkStates.review);
    if (running.length === 0 && waiting !== undefined) return { extended, waitsFor: reviewText(waiting) };
    await session.world.pause(seconds * 1000, signal);
  }
}

function reviewText({ check_name, status_reason, job_id }: CheckView): string {
  const why = status_reason ? ` (${status_reason})` : '';
  return `check ${check_name} waits for a review${why}: sluice review ${job_id} passed, or failed`;
}
