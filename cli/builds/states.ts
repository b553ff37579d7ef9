import type { BuildView } from '../../functions/api/build-shapes.ts';

/** The numbers by which flat-manager's clients know states; written out, as only types come from functions/. */

export const repoStates = {
  uploading: 0,
  committing: 1,
  ready: 2,
  failed: 3,
  purging: 4,
  purged: 5,
  validating: 6,
} as const;
export const publishedStates = { unpublished: 0, publishing: 1, published: 2, failed: 3 } as const;
export const jobStates = { new: 0, started: 1, ended: 2, broken: 3 } as const;
export const checkStates = { pending: 0, passed: 1, warned: 2, failed: 3, review: 4 } as const;

/** The name of a number in one of the tables above. */
export function nameOf(states: Readonly<Record<string, number>>, state: number): string {
  return Object.entries(states).find(([, number]) => number === state)?.[0] ?? `state ${state}`;
}

/** The state of a build in one word or two: `uploading`, `ready`, `published`. */
export function stateText({ repo_state, published_state }: Pick<BuildView, 'repo_state' | 'published_state'>): string {
  const published = published_state !== publishedStates.unpublished && repo_state === repoStates.ready;
  if (!published) return nameOf(repoStates, repo_state);
  return published_state === publishedStates.failed ? 'publish failed' : nameOf(publishedStates, published_state);
}
