import type { Artifact } from '../artifacts/artifact.ts';
import type { Health, RolloutPolicy, Target } from '../apps/schema.ts';
import type { EpochMs } from '../runtime/units.ts';
import type { LogPage } from './builder.ts';

/** One running service of an app's environment. */
export type TargetRef = {
  readonly app: string;
  readonly environment: string;
  readonly target: Target;
  /** Host names under which the target is reached besides its own port. */
  readonly domains: readonly string[];
};

/** What a target runs; immutable. `id` names it, and equal ids mean equal revisions. */
export type Revision = {
  readonly id: string;
  /** The deployment that first brought it. */
  readonly deploymentId: string;
  readonly artifact: Artifact;
  /** The start command of a bundle; for an image it replaces the image's own when given. */
  readonly command?: readonly string[];
  /** Where the app listens inside its task; the task is told by PORT. */
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  /** Environment variable → the secret and its version. */
  readonly secrets: Readonly<Record<string, { readonly name: string; readonly version: string }>>;
  readonly stopTimeoutSeconds: number;
  readonly health: Health;
};

export type RolloutInput = {
  /** Unique for a deployment and target; starting the same id again is harmless. */
  readonly id: string;
  readonly revision: Revision;
  readonly policy: RolloutPolicy;
};

export type RolloutCounts = {
  readonly desired: number;
  /** Tasks of the new revision that pass the health check and serve. */
  readonly newServing: number;
  /** Tasks of the new revision that started and are not healthy yet. */
  readonly newStarting: number;
  /** Tasks of other revisions that serve. */
  readonly oldServing: number;
  /** Tasks that get no new request and finish what they have. */
  readonly draining: number;
  /** Tasks of the new revision that failed so far. */
  readonly failed: number;
};

/**
 * `succeeded`: the new revision serves with full capacity and every old task is drained and stopped.
 * `failed`: the circuit breaker opened or `revert` was called; the old revision is being put back.
 * `reverted`: the revision from before serves again with full capacity and nothing of the new one is left.
 */
export type RolloutStatus = 'in_progress' | 'succeeded' | 'failed' | 'reverted' | 'revert_failed';

export type RolloutObservation = {
  readonly status: RolloutStatus;
  /** Why, for every status but `in_progress` and `succeeded`; else empty. */
  readonly reason: string;
  readonly counts: RolloutCounts;
  /** Differs whenever anything above differs: to wait for a change, compare it. */
  readonly marker: string;
};

export type TaskView = {
  readonly id: string;
  readonly revisionId: string;
  readonly state: 'starting' | 'serving' | 'draining' | 'stopping' | 'failed';
  readonly startedAt: EpochMs;
  /** Requests and connections it still serves; undefined where nobody counts them: a load balancer tells no numbers. */
  readonly inFlight?: number | undefined;
};

export type TargetView = {
  /** What the target runs when nothing is rolled; undefined before its first rollout. */
  readonly revision: Revision | undefined;
  readonly desiredCount: number;
  readonly tasks: readonly TaskView[];
  /** Tasks that stopped or turned unhealthy without being told to, since the fleet first knew the target. */
  readonly failures: number;
  readonly lastFailure: { readonly at: EpochMs; readonly reason: string } | undefined;
};

/** Services, their revisions, rollouts, health and draining. */
export interface Fleet {
  /** Whether this fleet can run the artifact right now: undefined, or the reason why not. */
  refuses(artifact: Artifact): Promise<string | undefined>;
  view(ref: TargetRef): Promise<TargetView>;
  /**
   * Begins to bring a revision to a target and returns at once; the fleet rolls, gates on health, drains, and
   * puts the old revision back by itself when the circuit breaker opens. At most one rollout is active on a target:
   * a new one takes over from where the other stands. Throws `Problem` for what can be seen to be impossible.
   */
  startRollout(ref: TargetRef, input: RolloutInput): Promise<void>;
  /** Throws `Problem('not-found')` for a rollout never started. */
  observeRollout(ref: TargetRef, rolloutId: string): Promise<RolloutObservation>;
  /**
   * Puts back the revision from before the rollout (none: the target's tasks are drained and stopped), also after it
   * succeeded; returns at once. Reverting twice is harmless; a rollout never started counts as `reverted`.
   */
  revertRollout(ref: TargetRef, rolloutId: string, reason: string): Promise<void>;
  /** Sets how many tasks the target keeps; adding waits for health, removing drains. */
  scale(ref: TargetRef, desiredCount: number): Promise<void>;
  /** Drains and stops everything of a target and forgets it; harmless for an unknown one. Resolves when nothing runs. */
  retire(ref: TargetRef): Promise<void>;
  /** What the target's tasks print, after a cursor, at most `limit` lines (default 1000); a line's phase is its task's id. */
  logs(ref: TargetRef, query?: { after?: string; limit?: number }): Promise<LogPage>;
  /**
   * Removes an artifact's image from where the fleet runs it, with every name that its app's deployments gave it; one
   * that is gone is no error. A bundle lies in Objects, so there is nothing to do. The caller knows that no revision
   * names it. Throws `Problem('conflict')`, and removes nothing, while something uses it.
   */
  discard(artifact: Artifact): Promise<void>;
  /** Throws when services cannot be run. */
  ready(): Promise<void>;
}
