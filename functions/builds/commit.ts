import type { ApiPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import { takeJobTurn, type JobPorts } from './job-turn.ts';
import { claimByJob } from './new-job.ts';
import type { EndOfLife, Job } from './job.ts';
import { committing } from './upload-state.ts';
import { appOf, changeUpload, getUpload } from './upload-store.ts';

export type CommitRequest = {
  readonly build: number;
  readonly actor: string;
  readonly dropStrays: boolean;
  readonly endOfLife?: EndOfLife;
};

/**
 * Begins to commit a build: from now on nothing is put into it. Its job verifies everything it stands for and makes its
 * artifact; where something is missing or wrong, the job says what, and the build is open again.
 * Throws `Problem('wrong-repo-state')` for a build that is not open.
 */
export async function requestCommit(
  ports: JobPorts & Pick<ApiPorts, 'newId'>,
  { build: id, actor, dropStrays, endOfLife }: CommitRequest,
): Promise<Job> {
  const build = await getUpload(ports.records, id);
  committing(build, 0);
  const app = appOf(build);
  const work = { kind: 'commit', build: id, dropStrays, ...(endOfLife ? { endOfLife } : {}) } as const;
  const wanted = { work, app, repo: build.repo, createdBy: actor };
  const { job } = await claimByJob(ports, wanted, async (made) => {
    return await changeUpload(ports.records, id, (found) => committing(found, made.id));
  });
  await takeJobTurn(ports, job);
  return job;
}

/** The job that committed a build last; throws `Problem('not-found')` when none has. */
export function commitJobOf({ commitJobId }: { readonly commitJobId?: number }): number {
  if (commitJobId !== undefined) return commitJobId;
  throw new Problem('not-found', 'The build was not committed');
}
