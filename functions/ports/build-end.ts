/** How a build ended, as whoever ran it describes it. */
export type BuildEnd = {
  readonly status: 'failed' | 'timed_out' | 'stopped' | 'interrupted';
  /** The sentence the build itself left behind, in `SLUICE_REASON`. */
  readonly said?: string | undefined;
  /** The first phase that went wrong, and what the machine has to say of it. */
  readonly failure?: { readonly phase: string; readonly words: string } | undefined;
  /** What it was granted. */
  readonly timeoutSeconds?: number | undefined;
};

/**
 * How it ended indeed: the agent ends a build at its very limit, which where the limit is of whole minutes comes before
 * the machine's, and then it has failed with that reason; pure.
 */
export function endStatus({ status, said, timeoutSeconds }: BuildEnd): BuildEnd['status'] {
  const isTooLong = status === 'failed' && said === buildReason({ status: 'timed_out', timeoutSeconds });
  return isTooLong ? 'timed_out' : status;
}

/** The one sentence that people are told, the same in both clouds; pure. */
export function buildReason({ status, said, failure, timeoutSeconds }: BuildEnd): string {
  switch (status) {
    case 'failed':
      return said || (failure ? `The phase ${failure.phase} failed: ${failure.words}` : 'The build failed');
    case 'timed_out':
      return `The build took longer than ${limitOf(timeoutSeconds)}`;
    case 'stopped':
      return 'The build was stopped';
    case 'interrupted':
      return said || `The build lost its machine${failure ? ` (${failure.words})` : ''}`;
  }
}

/** A build's time in the words of its reason. */
function limitOf(timeoutSeconds: number | undefined): string {
  if (timeoutSeconds === undefined) return 'its limit';
  if (timeoutSeconds < 120) return `its limit of ${timeoutSeconds} s`;
  return `its limit of ${Math.round(timeoutSeconds / 6) / 10} minutes`;
}
