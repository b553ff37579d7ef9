import { Refused } from '../failures.ts';

/**
 * The state that something was refused for, in the words of the builds service, where it was refused for its state:
 * somebody else may have done just that.
 */
export function refusedInState(error: unknown): string | undefined {
  if (!(error instanceof Refused)) return undefined;
  const problem: Readonly<Record<string, unknown>> = error.problem;
  const type = problem['error-type'];
  if (type !== 'wrong-repo-state' && type !== 'wrong-published-state') return undefined;
  const state = problem['current-state'];
  return typeof state === 'string' ? state.toLowerCase() : undefined;
}
