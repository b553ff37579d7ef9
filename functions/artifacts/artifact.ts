import type { PhaseTime } from '../ports/builder.ts';
import type { CommitSha, Digest, EpochMs } from '../runtime/units.ts';

/** An immutable result, named by its digest. */
export type Artifact = {
  readonly app: string;
  readonly digest: Digest;
  readonly kind: 'image' | 'bundle';
  readonly sizeBytes: number;
  /** What a fleet runs: an image reference by digest, or the bundle's digest. */
  readonly reference: string;
  readonly origin: ArtifactOrigin;
  readonly createdAt: EpochMs;
  /** How long each phase of its build took. */
  readonly phases: readonly PhaseTime[];
};

export type ArtifactOrigin =
  | {
      readonly kind: 'build';
      readonly buildId: string;
      readonly repoUrl: string;
      readonly ref: string;
      readonly commit: CommitSha;
    }
  | { readonly kind: 'registry'; readonly buildId: string; readonly reference: string }
  | { readonly kind: 'fetch'; readonly buildId: string; readonly url: string };
