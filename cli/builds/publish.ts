import type { JobView } from '../../functions/api/build-shapes.ts';
import { path, type Client } from '../client.ts';
import { exitCodes, type ExitCode } from '../exit.ts';
import { Refused } from '../failures.ts';
import { followDeployment } from '../follow/follow.ts';
import type { Session } from '../session.ts';
import { refusedInState } from './already.ts';
import { followAlone, type JobAlone } from './job-alone.ts';

export type Publish = { readonly build: string; readonly follow: boolean };

/** Publishes a build; follows the job, and then the deployment that it has begun, to its end. */
export async function publishBuild(session: Session, { build, follow }: Publish): Promise<ExitCode> {
  const client = await session.client();
  await start(session, client, build);
  if (!follow) {
    if (session.json) session.document({ type: 'publish', build: Number(build), status: 'publishing' });
    else session.line(`Build ${build} is being published.`);
    session.note(`Follow it: sluice publish ${build}`);
    return exitCodes.done;
  }
  return await followRelease(session, {
    client,
    path: path`/api/v1/build/${build}/publish`,
    what: `Publishing build ${build}`,
    again: `sluice publish ${build}`,
  });
}

/** To publish what is published, or is being published, is to follow that. */
async function start(session: Session, client: Client, build: string): Promise<void> {
  try {
    await client.request<JobView>({
      method: 'POST',
      path: path`/api/v1/build/${build}/publish`,
      body: {},
      idempotent: true,
      patienceSeconds: 60,
    });
  } catch (error) {
    const state = refusedInState(error);
    if (state === undefined || !['publishing', 'published'].includes(state)) throw error;
    session.note(`Build ${build} is ${state} already.`);
  }
}

/** Follows a job that brings something to an environment, and then the deployment it has begun. */
export async function followRelease(session: Session, job: JobAlone): Promise<ExitCode> {
  const { exitCode, results } = await followAlone(session, job);
  const deployment = results['deployment'];
  if (exitCode !== exitCodes.done || typeof deployment !== 'string') return exitCode;
  try {
    return await followDeployment(session, deployment);
  } catch (error) {
    if (!(error instanceof Refused) || error.problem.status !== 403) throw error;
    throw new Refused(
      error.problem,
      `It is published, and deployment ${deployment} goes on; to follow it the token needs the scope "read". ` +
        '--no-follow does without.',
    );
  }
}
