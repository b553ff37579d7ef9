import type { PhaseTime } from '../ports/builder.ts';
import type { CommitSha, Digest, EpochMs } from '../runtime/units.ts';

/** An immutable result, named by its digest. */
export type Artifact = {
  readonly app: string;
  readonly digest: Digest;
  /** `ostree` is published and fetched, and nothing here runs it. */
  readonly kind: 'image' | 'bundle' | 'ostree';
  readonly sizeBytes: number;
  /**
   * What a fleet runs: an image reference by digest, or the bundle's digest. Empty for an image that was uploaded and
   * not brought to where the fleet runs it yet.
   */
  readonly reference: string;
  /** Of what was uploaded: the blob that names all its objects. */
  readonly manifest?: Digest;
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
  | { readonly kind: 'fetch'; readonly buildId: string; readonly url: string }
  | { readonly kind: 'upload'; readonly build: number };
