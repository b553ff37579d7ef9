/** What the builds service answers, as its stock clients know it; `functions/api` is the source of these. */

export type Build = {
  readonly id: number;
  readonly created?: string;
  readonly repo_state: number;
  readonly repo_state_reason?: string;
  readonly published_state: number;
  readonly published_state_reason?: string;
  readonly commit_job_id?: number;
  readonly publish_job_id?: number;
  /** The environment it is for. */
  readonly repo: string;
  readonly app_id?: string | null;
  readonly build_log_url?: string | null;
  readonly token_name?: string | null;
};

export type Job = {
  readonly id: number;
  readonly kind: number;
  readonly status: number;
  /** JSON, left out while there are none. */
  readonly results?: string | null;
  readonly log: string;
};

export type Check = {
  readonly check_name: string;
  readonly job_id: number;
  readonly status: number;
  readonly status_reason?: string | null;
};

export type Extended = {
  readonly build: Build;
  readonly build_refs: readonly { readonly ref_name: string; readonly commit: string }[];
  readonly checks: readonly Check[];
};

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
export function stateText({ repo_state, published_state }: Build): string {
  const published = published_state !== publishedStates.unpublished && repo_state === repoStates.ready;
  if (!published) return nameOf(repoStates, repo_state);
  return published_state === publishedStates.failed ? 'publish failed' : nameOf(publishedStates, published_state);
}
