import type { App } from '../apps/schema.ts';
import type { Revision, RolloutCounts, RolloutStatus } from '../ports/fleet.ts';
import type { CommitSha, Digest, EpochMs } from '../runtime/units.ts';
import type { State } from './state.ts';

/** One attempt to bring an artifact to an environment. */
export type Deployment = {
  readonly id: string;
  readonly app: string;
  readonly environment: string;
  readonly createdAt: EpochMs;
  readonly trigger: Trigger;
  readonly request: DeploymentRequest;
  /** The app, with this environment alone, as it was when the deployment was asked for: a later change concerns later ones. */
  readonly settings: App;
  readonly state: State;
  /** Once a person has asked for it; the workflow's next step sees it, whatever it is doing. */
  readonly cancel?: { readonly by: string; readonly at: EpochMs };
  /** The build that makes its artifact, as soon as there is one. */
  readonly buildId?: string;
  readonly commit?: CommitSha;
  readonly artifact?: Digest;
  /** What is rolled out, with the secrets' versions as they were when it was planned. */
  readonly revision?: Revision;
  readonly targets: readonly TargetProgress[];
  /** Each target's count of failed tasks when the watch after the shift began. */
  readonly failuresBefore?: Readonly<Record<string, number>>;
  readonly timeline: readonly TimelineEntry[];
  /** True once its lane is free of it and nothing is left to do. */
  readonly settled: boolean;
};

export type Trigger =
  | {
      readonly kind: 'push';
      readonly deliveryId: string;
      /** The full ref: `refs/heads/main`. */
      readonly ref: string;
      readonly pusher: string;
    }
  | { readonly kind: 'api'; readonly actor: string }
  | { readonly kind: 'rollback'; readonly actor: string }
  /** A build by upload was published. */
  | { readonly kind: 'publish'; readonly actor: string; readonly build?: number }
  | { readonly kind: 'promotion'; readonly actor: string; readonly from: string };

export type DeploymentRequest =
  | { readonly kind: 'source'; readonly ref: string; readonly commit?: CommitSha }
  | { readonly kind: 'image'; readonly reference: string }
  | { readonly kind: 'artifact'; readonly digest: Digest }
  | { readonly kind: 'fetch'; readonly url: string; readonly sha256: string }
  /** The revision of an earlier deployment, whole. */
  | { readonly kind: 'revision'; readonly deploymentId: string };

/** How the rollout on one target stands; `waiting` until its wave comes. */
export type TargetProgress = {
  readonly name: string;
  readonly wave: number;
  readonly rolloutId: string;
  readonly status: 'waiting' | RolloutStatus;
  readonly reason: string;
  readonly counts?: RolloutCounts;
};

export type TimelineEntry = {
  /** 1, 2, 3 …; the cursor of `…/events?after=`. */
  readonly seq: number;
  readonly at: EpochMs;
  /** A status when the state changed, else what happened: `build`, `target`, `cancel`, `note`. */
  readonly kind: string;
  readonly text: string;
  readonly target?: string;
};
