import { createHash } from 'node:crypto';
import { deployKeyPath, secretPath } from '../apps/secrets.ts';
import type { App, BuildSettings, Source } from '../apps/schema.ts';
import type { BuildRequest } from '../ports/builder.ts';
import { Problem } from '../runtime/errors.ts';
import type { CommitSha, Digest } from '../runtime/units.ts';
import type { BuildSpec, SourceSpec } from './spec.ts';

/** What is to become an artifact. */
export type BuildWish = {
  readonly app: string;
  readonly settings: App;
  readonly deploymentId: string;
  readonly buildId: string;
  readonly request:
    | { readonly kind: 'source'; readonly ref: string; readonly commit?: CommitSha }
    | { readonly kind: 'image'; readonly reference: string }
    | { readonly kind: 'fetch'; readonly url: string; readonly sha256: string }
    /** An image that was uploaded. */
    | { readonly kind: 'import'; readonly artifact: Digest; readonly manifest: Digest };
  readonly fetchPolicy: { readonly allowPrivateHosts: boolean; readonly maxBytes: number };
};

const defaultTimeoutMinutes = 10;

/** What the builder is told; pure. Throws `Problem('invalid')` when the app does not say what it takes. */
export function planBuild(wish: BuildWish): BuildRequest {
  const work = planWork(wish);
  const timeoutMinutes = wish.settings.build?.timeoutMinutes ?? defaultTimeoutMinutes;
  return {
    kind: work.kind,
    spec: {
      buildId: wish.buildId,
      app: wish.app,
      deploymentId: wish.deploymentId,
      timeoutSeconds: timeoutMinutes * 60,
      work,
    },
  };
}

/** `sluice-{app}:{deployment}`, the tag of an image this control plane made. */
export function imageTag(app: string, deploymentId: string): string {
  return `sluice-${app}:${deploymentId}`;
}

/**
 * Equal for builds that would make the same artifact: the same commit of the same repository, built in the same way.
 * Undefined where the commit is not known before the build.
 */
export function fingerprintOf(settings: App, commit: CommitSha | undefined): string | undefined {
  if (!commit || !settings.source || !settings.build) return undefined;
  const { timeoutMinutes: _, ...build } = settings.build;
  return createHash('sha256')
    .update(canonicalJson({ repoUrl: settings.source.repoUrl, commit, build }))
    .digest('hex');
}

/** JSON whose text depends on the value alone and not on the order in which its keys were set. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

function planWork(wish: BuildWish): BuildSpec['work'] {
  const tag = imageTag(wish.app, wish.deploymentId);
  switch (wish.request.kind) {
    case 'image':
      return { kind: 'registry', registry: { reference: wish.request.reference, tag } };
    case 'fetch':
      return {
        kind: 'fetch',
        fetch: {
          url: wish.request.url,
          sha256: wish.request.sha256,
          artifactKind: wish.settings.build?.kind ?? (wish.settings.runtime.command ? 'bundle' : 'image'),
          tag,
          ...wish.fetchPolicy,
        },
      };
    case 'import': {
      const { artifact, manifest } = wish.request;
      return { kind: 'import', import: { artifact, manifest, tag } };
    }
    case 'source':
      return planSourceWork(wish, { ref: wish.request.ref, commit: wish.request.commit, tag });
  }
}

function planSourceWork(
  wish: BuildWish,
  at: { ref: string; commit: CommitSha | undefined; tag: string },
): BuildSpec['work'] {
  const { source, build } = wish.settings;
  if (!source || !build) {
    throw new Problem('invalid', `The app ${wish.app} has no source and build: deploy an artifact or an image`);
  }
  const from = sourceSpec(wish.app, source, at);
  return build.kind === 'image'
    ? { kind: 'image', source: from, image: imageSpec(build, at.tag) }
    : {
        kind: 'bundle',
        source: from,
        bundle: { output: build.output, ...(build.command ? { command: build.command } : {}) },
      };
}

function imageSpec(build: BuildSettings & { kind: 'image' }, tag: string) {
  const { dockerfile, context, target, buildArgs } = build;
  return { dockerfile, context, buildArgs, tag, ...(target ? { target } : {}) };
}

function sourceSpec(app: string, source: Source, at: { ref: string; commit: CommitSha | undefined }): SourceSpec {
  return {
    repoUrl: source.repoUrl,
    ref: at.ref,
    ...(at.commit ? { commit: at.commit } : {}),
    credential: credentialSpec(app, source.credential),
    hostKeys: source.hostKeys ?? [],
  };
}

function credentialSpec(app: string, credential: Source['credential']): SourceSpec['credential'] {
  switch (credential.kind) {
    case 'none':
      return { kind: 'none' };
    case 'ssh-key':
      return { kind: 'ssh-key', secret: deployKeyPath(app) };
    case 'https-token':
      return { kind: 'https-token', secret: secretPath(app, credential.secret), username: credential.username };
  }
}
