import * as v from 'valibot';
import { refIssue, sourcePathIssue } from '../apps/names.ts';
import { repoUrlIssue } from '../apps/repo-url.ts';
import { imageReferenceIssue } from '../artifacts/image-reference.ts';
import { parseInput } from '../runtime/parse.ts';
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
    | { readonly kind: 'registry'; readonly registry: RegistrySpec }
    | { readonly kind: 'import'; readonly import: ImportSpec }
    | { readonly kind: 'check'; readonly check: CheckSpec };
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
/** An image whose blobs are in Objects; `manifest` is the blob that lists them all, see `functions/artifacts/manifest.ts`. */
export type ImportSpec = {
  /** The OCI digest of its manifest, or index. */
  readonly artifact: Digest;
  readonly manifest: Digest;
  readonly tag: string;
};
/** What is run on a committed artifact before it may be published; a command, an image, or a command in an image. */
export type CheckSpec = {
  readonly name: string;
  readonly artifact: CheckedArtifact;
  readonly command?: string;
  readonly image?: string;
};
export type CheckedArtifact = {
  readonly kind: 'image' | 'bundle' | 'ostree';
  readonly digest: Digest;
  readonly manifest: Digest;
};

const digestSchema = v.custom<Digest>((value) => typeof value === 'string' && digestPattern.test(value));
const phasesSchema = v.array(v.object({ name: v.string(), seconds: v.number() }));

/** What a build of an artifact exports as `SLUICE_RESULT`: one line of JSON. */
export const artifactResultSchema = v.object({
  kind: v.picklist(['image', 'bundle']),
  digest: digestSchema,
  sizeBytes: v.pipe(v.number(), v.integer(), v.minValue(0)),
  /** What the fleet is told to run: for an image a reference by digest, for a bundle its digest. */
  reference: v.pipe(v.string(), v.minLength(1)),
  /** The commit that was built; left out where there was no source. */
  commit: v.optional(v.pipe(v.string(), v.regex(commitShaPattern))),
  phases: phasesSchema,
});
export type ArtifactResult = v.InferOutput<typeof artifactResultSchema>;

/** What a check exports; one that does not pass fails its build, and exports nothing. */
export const checkResultSchema = v.object({ kind: v.literal('check'), passed: v.literal(true), phases: phasesSchema });
export type CheckResult = v.InferOutput<typeof checkResultSchema>;

export const buildResultSchema = v.variant('kind', [artifactResultSchema, checkResultSchema]);
export type BuildResult = v.InferOutput<typeof buildResultSchema>;

const text = (max: number) =>
  v.pipe(v.string(), v.minLength(1), v.maxLength(max), v.excludes('\0', 'text without NUL characters'));
const checked = (issue: (value: string) => string | undefined) =>
  v.pipe(
    v.string(),
    v.check((value) => issue(value) === undefined, 'a harmless value'),
  );
/** It names folders, files and images. */
const idSchema = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/));
const tagSchema = v.pipe(v.string(), v.regex(/^sluice-[a-z0-9][a-z0-9-]{0,62}:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/));

const sourceSpecSchema = v.strictObject({
  repoUrl: checked(repoUrlIssue),
  commit: v.exactOptional(v.pipe(v.string(), v.regex(commitShaPattern))),
  ref: checked(refIssue),
  credential: v.variant('kind', [
    v.strictObject({ kind: v.literal('none') }),
    v.strictObject({ kind: v.literal('ssh-key'), secret: text(512) }),
    v.strictObject({ kind: v.literal('https-token'), secret: text(512), username: text(100) }),
  ]),
  hostKeys: v.array(v.pipe(text(2000), v.regex(/^[ -~]+$/))),
});
const imageSpecSchema = v.strictObject({
  dockerfile: checked(sourcePathIssue),
  context: checked(sourcePathIssue),
  target: v.exactOptional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/))),
  buildArgs: v.record(
    v.pipe(v.string(), v.regex(/^[A-Za-z_][A-Za-z0-9_]{0,254}$/)),
    v.pipe(v.string(), v.maxLength(32_768), v.excludes('\0', 'text without NUL characters')),
  ),
  tag: tagSchema,
});
const checkSpecSchema = v.pipe(
  v.strictObject({
    name: idSchema,
    artifact: v.strictObject({
      kind: v.picklist(['image', 'bundle', 'ostree']),
      digest: digestSchema,
      manifest: digestSchema,
    }),
    command: v.exactOptional(text(32_768)),
    image: v.exactOptional(checked(imageReferenceIssue)),
  }),
  v.check(({ command, image }) => command !== undefined || image !== undefined, 'a command, an image, or both'),
);

/**
 * The shape of a `BuildSpec`. The agent trusts nobody and checks again what the API has checked: a repository URL, ref
 * or path that could be taken for an option or leave the source never reaches Git or the engine.
 */
export const buildSpecSchema: v.GenericSchema<unknown, BuildSpec> = v.strictObject({
  buildId: idSchema,
  app: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,62}$/)),
  deploymentId: idSchema,
  timeoutSeconds: v.pipe(v.number(), v.gtValue(0), v.maxValue(480 * 60)),
  work: v.variant('kind', [
    v.strictObject({ kind: v.literal('image'), source: sourceSpecSchema, image: imageSpecSchema }),
    v.strictObject({
      kind: v.literal('bundle'),
      source: sourceSpecSchema,
      bundle: v.strictObject({ command: v.exactOptional(text(32_768)), output: checked(sourcePathIssue) }),
    }),
    v.strictObject({
      kind: v.literal('fetch'),
      fetch: v.strictObject({
        url: text(4096),
        sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
        artifactKind: v.picklist(['image', 'bundle']),
        maxBytes: v.pipe(v.number(), v.integer(), v.minValue(1)),
        allowPrivateHosts: v.boolean(),
        tag: tagSchema,
      }),
    }),
    v.strictObject({
      kind: v.literal('registry'),
      registry: v.strictObject({ reference: checked(imageReferenceIssue), tag: tagSchema }),
    }),
    v.strictObject({
      kind: v.literal('import'),
      import: v.strictObject({ artifact: digestSchema, manifest: digestSchema, tag: tagSchema }),
    }),
    v.strictObject({ kind: v.literal('check'), check: checkSpecSchema }),
  ]),
});

/** Reads `SLUICE_SPEC`; throws `Problem('invalid')` naming the wrong fields, never a value. */
export function parseBuildSpec(json: string): BuildSpec {
  return parseInput(buildSpecSchema, parsedJson(json), 'build spec');
}

function parsedJson(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return undefined;
  }
}
