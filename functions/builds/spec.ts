import * as v from 'valibot';
import { commitShaPattern, digestPattern, type Digest } from '../runtime/units.ts';

/**
 * What a build agent is told, as JSON in `SLUICE_SPEC`. Nothing in it is secret: it names secrets, and the agent
 * reads them itself, in the step that needs them.
 */
export type BuildSpec = {
  readonly buildId: string;
  readonly app: string;
  readonly deploymentId: string;
  /** The agent ends the build's whole process tree after this; the builder does so too. */
  readonly timeoutSeconds: number;
  readonly work:
    | { readonly kind: 'image'; readonly source: SourceSpec; readonly image: ImageSpec }
    | { readonly kind: 'bundle'; readonly source: SourceSpec; readonly bundle: BundleSpec }
    | { readonly kind: 'fetch'; readonly fetch: FetchSpec }
    | { readonly kind: 'registry'; readonly registry: RegistrySpec };
};

export type SourceSpec = {
  readonly repoUrl: string;
  /** The exact commit when it is known; else the agent resolves `ref` and reports what it found. */
  readonly commit?: string;
  /** Branch, tag, full ref or SHA. */
  readonly ref: string;
  readonly credential:
    | { readonly kind: 'none' }
    /** `secret` is the full name in the Secrets port. */
    | { readonly kind: 'ssh-key'; readonly secret: string }
    | { readonly kind: 'https-token'; readonly secret: string; readonly username: string };
  readonly hostKeys: readonly string[];
};
export type ImageSpec = {
  readonly dockerfile: string;
  readonly context: string;
  readonly target?: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  /** `sluice-{app}:{deployment}` */
  readonly tag: string;
};
export type BundleSpec = { readonly command?: string; readonly output: string };
export type FetchSpec = {
  readonly url: string;
  readonly sha256: string;
  readonly artifactKind: 'image' | 'bundle';
  readonly maxBytes: number;
  readonly allowPrivateHosts: boolean;
  /** For an image: the tag it gets. */
  readonly tag: string;
};
export type RegistrySpec = { readonly reference: string; readonly tag: string };

/** What a build exports as `SLUICE_RESULT`: one line of JSON. */
export const buildResultSchema = v.object({
  kind: v.picklist(['image', 'bundle']),
  digest: v.custom<Digest>((value) => typeof value === 'string' && digestPattern.test(value)),
  sizeBytes: v.pipe(v.number(), v.integer(), v.minValue(0)),
  /** What the fleet is told to run: for an image a reference by digest, for a bundle its digest. */
  reference: v.pipe(v.string(), v.minLength(1)),
  /** The commit that was built; left out where there was no source. */
  commit: v.optional(v.pipe(v.string(), v.regex(commitShaPattern))),
  phases: v.array(v.object({ name: v.string(), seconds: v.number() })),
});
export type BuildResult = v.InferOutput<typeof buildResultSchema>;
