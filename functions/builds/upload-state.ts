import { Problem } from '../runtime/errors.ts';
import type { PublishedState, UploadBuild, UploadState } from './upload-build.ts';

/** The words by which flat-manager's clients know a build's state. */
type RepoWord = UploadState['status'];

/** The build after `commit` was asked for; throws `Problem('wrong-repo-state')` where it is not open. */
export function committing(build: UploadBuild, jobId: number): UploadBuild {
  requireUploading(build);
  return { ...build, state: { status: 'committing', jobId }, commitJobId: jobId };
}

/** The build after a commit that came to nothing: open, and saying why; undefined where that job is not at it. */
export function reopened(build: UploadBuild, jobId: number, reason: string): UploadBuild | undefined {
  const { state, artifact: _, ...rest } = build;
  if (state.status !== 'committing' || state.jobId !== jobId) return undefined;
  return { ...rest, checks: [], state: { status: 'uploading', reason } };
}

/** Throws `Problem('wrong-repo-state')` for one that nothing can be put into any more. */
export function requireUploading({ state }: Pick<UploadBuild, 'state'>): void {
  switch (state.status) {
    case 'uploading':
      return;
    case 'committing':
      throw wrongState('Build is currently being committed', 'uploading', 'committing');
    case 'ready':
    case 'validating':
      throw wrongState('Build is already committed', 'uploading', 'ready');
    case 'failed':
      throw wrongState(`Commit already failed: ${state.reason}`, 'uploading', 'failed');
    case 'purging':
    case 'purged':
      throw wrongState('Build has been purged', 'uploading', 'purged');
  }
}

/** Throws `Problem('wrong-repo-state')` for one that is not committed and checked. */
export function requireReady({ state }: Pick<UploadBuild, 'state'>): void {
  switch (state.status) {
    case 'ready':
      return;
    case 'uploading':
    case 'committing':
      throw wrongState('Build is not committed', 'ready', state.status);
    case 'validating':
      throw wrongState('Build is still validating', 'ready', 'validating');
    case 'failed':
      throw wrongState(`Build failed: ${state.reason}`, 'ready', 'failed');
    case 'purging':
    case 'purged':
      throw wrongState('Build has been purged', 'ready', 'purged');
  }
}

/** The build after `publish` was asked for; throws `Problem('wrong-published-state')` where it was asked for before. */
export function publishing(build: UploadBuild, { jobId, by }: { jobId: number; by: string }): UploadBuild {
  requireUnpublished(build.published);
  requireReady(build);
  return {
    ...build,
    published: { status: 'publishing', jobId, by },
    publishJobId: jobId,
  };
}

function requireUnpublished(state: PublishedState): void {
  switch (state.status) {
    case 'unpublished':
    // What stood in its way then may be mended now.
    case 'failed':
      return;
    case 'publishing':
      throw wrongPublished('Build is currently being published', 'publishing');
    case 'published':
      throw wrongPublished('Build has already been published', 'published');
  }
}

/** The build after `purge` was asked for; throws `Problem('conflict')` while something works on it. */
export function purging(build: UploadBuild): UploadBuild | undefined {
  if (build.state.status === 'purged') return undefined;
  const isInUse = ['committing', 'validating', 'purging'].includes(build.state.status);
  if (isInUse || build.published.status === 'publishing') {
    // To the letter: a stock client takes this sentence for done.
    throw new Problem('conflict', "Can't prune build while in use");
  }
  return { ...build, state: { status: 'purging' } };
}

/**
 * Where a build stands after one of its checks has ended: it waits for the others, is ready, or has failed. One that is
 * not being checked stays as it is.
 */
export function afterChecks(build: UploadBuild): UploadBuild {
  const { checks, state } = build;
  if (state.status !== 'validating' && state.status !== 'failed') return build;
  const isOpen = checks.some(({ outcome }) => outcome.status === 'pending' || outcome.status === 'review-required');
  const failed = checks.filter(({ outcome }) => outcome.status === 'failed').map(({ name }) => name);
  if (isOpen) return build;
  if (failed.length === 0) return { ...build, state: { status: 'ready' } };
  const reason = `${failed.length} out of ${checks.length} checks failed (${failed.join(', ')})`;
  return { ...build, state: { status: 'failed', reason } };
}

function wrongState(message: string, expected: RepoWord, current: RepoWord): Problem {
  return new Problem('wrong-repo-state', message, { states: { current, expected } });
}

function wrongPublished(message: string, current: PublishedState['status']): Problem {
  return new Problem('wrong-published-state', message, { states: { current, expected: 'unpublished' } });
}
