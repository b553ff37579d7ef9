import type { CheckSettings } from '../apps/schema.ts';
import type { Digest, EpochMs } from '../runtime/units.ts';
import type { ArtifactKind } from './upload-build.ts';

/**
 * Work that goes on after a call was answered: it runs in the workflow (`job.asl.json`), survives a restart, and is
 * followed by its log. Jobs of one app and environment follow each other; checks and hooks run beside them.
 */
export type Job = {
  readonly id: number;
  /** What it follows from, where the same cause must not lead to two. */
  readonly seed?: string;
  readonly createdAt: EpochMs;
  /** By the name of the token. */
  readonly createdBy: string;
  readonly app?: string;
  /** The environment, as flat-manager's clients know it; null where it is of none. */
  readonly repo: string | null;
  readonly work: JobWork;
  readonly state: JobState;
  /** ASCII, and nothing that was told is told otherwise later: who follows reads on from where they were. */
  readonly log: string;
  /** What is told behind the output of a check's run. */
  readonly logAfter?: string;
  /** True once its lane is free of it and nothing is left to do. */
  readonly settled: boolean;
};

export type JobWork =
  | { readonly kind: 'commit'; readonly build: number; readonly dropStrays: boolean; readonly endOfLife?: EndOfLife }
  | { readonly kind: 'publish'; readonly build: number }
  | {
      readonly kind: 'promote';
      readonly from: string;
      readonly promoted: PromotedArtifact;
      /** Of one that happens by itself: the deployment that has to succeed first. */
      readonly after?: string;
    }
  | { readonly kind: 'republish' }
  /** The settings as they were when the build was committed; `runs`: how often it was begun. */
  | { readonly kind: 'check'; readonly build: number; readonly settings: CheckSettings; readonly runs: number }
  | { readonly kind: 'prune'; readonly prune: PruneWish; readonly freed: Freed }
  | {
      readonly kind: 'hook';
      readonly hook: string;
      readonly event: PublishedEvent;
      readonly attempts: number;
      /** Not to be called before this. */
      readonly nextAt?: EpochMs;
    };

export type EndOfLife = { readonly reason?: string; readonly rebase?: string; readonly tokenType?: number };

/** What is promoted: an artifact that its parent has run, or published. */
export type PromotedArtifact = {
  readonly digest: Digest;
  readonly kind: ArtifactKind;
  readonly manifest?: Digest;
};

/** What pruning looks at. */
export type PruneWish = {
  /** Only artifacts of this app are forgotten. */
  readonly app?: string;
  readonly dryRun: boolean;
  /** What is younger is left alone. */
  readonly keepHours: number;
};

export type Freed = { readonly objects: number; readonly bytes: number; readonly artifacts: number };

/** What a hook is told. */
export type PublishedEvent = {
  readonly app: string;
  readonly environment: string;
  readonly artifact: Digest;
  readonly kind: ArtifactKind;
  readonly build?: number;
  readonly deployment?: string;
  readonly publishedBy: string;
  readonly publishedAt: EpochMs;
};

export type JobState =
  | { readonly status: 'new' }
  | { readonly status: 'started' }
  | { readonly status: 'ended'; readonly endedAt: EpochMs; readonly results: Readonly<Record<string, unknown>> }
  | { readonly status: 'broken'; readonly endedAt: EpochMs; readonly reason: string };

/** flat-manager's numbers; 6 is ours. A promotion is a publication. */
export const jobKinds = {
  commit: 0,
  publish: 1,
  promote: 1,
  republish: 3,
  check: 4,
  prune: 5,
  hook: 6,
} as const satisfies Record<JobWork['kind'], number>;

export const jobStatuses = { new: 0, started: 1, ended: 2, broken: 3 } as const satisfies Record<
  JobState['status'],
  number
>;

export function isJobEnd(state: JobState): state is Extract<JobState, { readonly endedAt: EpochMs }> {
  return 'endedAt' in state;
}
