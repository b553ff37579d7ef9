import type { CheckSettings } from '../apps/schema.ts';
import type { CommitSha, Digest, EpochMs } from '../runtime/units.ts';

/**
 * A build by upload: what tools outside have made is put here, committed to an immutable artifact, checked, and published
 * to the environment that `repo` names. The states are flat-manager's.
 */
export type UploadBuild = {
  readonly kind: 'upload';
  readonly id: number;
  readonly createdAt: EpochMs;
  /** The environment it is for. */
  readonly repo: string;
  /** The app; undefined until its first ref names one, where none was named when it was created. */
  readonly app?: string;
  /** The app as its tools name it: its id, or its `appId`. */
  readonly appId?: string;
  readonly publicDownload: boolean;
  readonly buildLogUrl: string | null;
  /** Whose token made it, by the token's name. */
  readonly tokenName: string;
  readonly tokenType: string | null;
  readonly extraIds: readonly string[];
  readonly refs: readonly BuildRef[];
  /** What was put here so far, declared uploads included. */
  readonly uploaded: { readonly objects: number; readonly bytes: number };
  readonly state: UploadState;
  readonly published: PublishedState;
  readonly commitJobId?: number;
  readonly publishJobId?: number;
  /** Once it is committed. */
  readonly artifact?: CommittedArtifact;
  readonly checks: readonly BuildCheck[];
};

export type BuildRef = {
  readonly id: number;
  readonly ref: string;
  readonly commit: CommitSha;
  readonly kind?: ArtifactKind;
  readonly buildLogUrl: string | null;
};

export type ArtifactKind = 'image' | 'bundle' | 'ostree';

export type CommittedArtifact = {
  readonly kind: ArtifactKind;
  readonly digest: Digest;
  /** The blob that names every object of it. */
  readonly manifest: Digest;
};

/** `uploading` after a commit that failed tells why: what is missing can be put right, and it is committed again. */
export type UploadState =
  | { readonly status: 'uploading'; readonly reason?: string }
  | { readonly status: 'committing'; readonly jobId: number }
  | { readonly status: 'validating' }
  | { readonly status: 'ready' }
  | { readonly status: 'failed'; readonly reason: string }
  | { readonly status: 'purging' }
  | { readonly status: 'purged' };

export type PublishedState =
  | { readonly status: 'unpublished' }
  /** `by`, the id of a token, may ask again: whoever lost the answer is given the same job. */
  | { readonly status: 'publishing'; readonly jobId: number; readonly by: string }
  | { readonly status: 'published'; readonly jobId: number; readonly by: string; readonly at: EpochMs }
  | { readonly status: 'failed'; readonly reason: string };

export type CheckStatus =
  | { readonly status: 'pending' }
  | { readonly status: 'passed' }
  | { readonly status: 'passed-with-warnings'; readonly reason: string }
  | { readonly status: 'failed'; readonly reason: string }
  | { readonly status: 'review-required'; readonly reason: string };

export type BuildCheck = {
  readonly name: string;
  readonly jobId: number;
  /** As they were when the build was committed. */
  readonly settings: CheckSettings;
  readonly outcome: CheckStatus;
  readonly results: string | null;
};

/** Where the objects of a build that are sent in parts stand until they are whole: nobody else's uploads are there. */
export function uploadIdOf(build: Pick<UploadBuild, 'id'>): string {
  return `build-${build.id}`;
}
