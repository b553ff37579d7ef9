import { createHash } from 'node:crypto';
import { secretPath } from '../apps/secrets.ts';
import type { Artifact } from '../artifacts/artifact.ts';
import { canonicalJson } from '../builds/plan.ts';
import type { App, Environment } from '../apps/schema.ts';
import type { Revision } from '../ports/fleet.ts';
import type { Secrets } from '../ports/secrets.ts';
import { StepFailed } from '../runtime/errors.ts';

/**
 * What an app runs in an environment: the artifact, its variables, and its secrets pinned to the versions of now.
 * Throws `StepFailed('ArtifactUnusable')` naming a secret that was never written.
 */
export async function makeRevision(
  secrets: Pick<Secrets, 'findVersion'>,
  from: { app: string; settings: App; environment: Environment; artifact: Artifact; deploymentId: string },
): Promise<Revision> {
  const { runtime, health } = from.settings;
  const content = {
    artifact: from.artifact,
    ...(runtime.command ? { command: runtime.command } : {}),
    port: runtime.port,
    env: { ...runtime.env, ...from.environment.env },
    secrets: await pinSecrets(secrets, from.app, runtime.secrets),
    stopTimeoutSeconds: runtime.stopTimeoutSeconds,
    health,
  };
  return { id: revisionId(content), deploymentId: from.deploymentId, ...content };
}

/** Equal for equal revisions: the digest stands for the artifact, whoever built it and when. */
export function revisionId(content: Omit<Revision, 'id' | 'deploymentId'>): string {
  const text = canonicalJson({ ...content, artifact: content.artifact.digest });
  return `rev-${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
}

async function pinSecrets(
  secrets: Pick<Secrets, 'findVersion'>,
  app: string,
  wanted: Readonly<Record<string, string>>,
): Promise<Revision['secrets']> {
  const pinned = await Promise.all(
    Object.entries(wanted).map(async ([variable, secret]) => {
      const name = secretPath(app, secret);
      const version = await secrets.findVersion(name);
      if (version === undefined) {
        throw new StepFailed(
          'ArtifactUnusable',
          `The secret ${secret} (for ${variable}) has no value yet: set it first`,
        );
      }
      return [variable, { name, version }] as const;
    }),
  );
  return Object.fromEntries(pinned);
}
