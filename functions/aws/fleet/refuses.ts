import type { Artifact } from '../../artifacts/artifact.ts';

/**
 * Why ECS cannot run an artifact, in a sentence; undefined when it can. Whether a target's service can fetch bundles
 * is seen when its rollout starts. Pure.
 */
export function refusalOf({ kind, reference }: Artifact): string | undefined {
  if (kind === 'bundle') return undefined;
  // A bare id names an image of one machine's engine; a registry's name is in front of every other.
  if (/^[^@\s]+@sha256:[0-9a-f]{64}$/.test(reference)) return undefined;
  return 'ECS runs images by the name of their repository and their digest (registry/name@sha256:…), and this one has none';
}
