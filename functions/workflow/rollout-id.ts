import type { Deployment } from '../deployments/deployment.ts';

/** The id of a deployment's rollout on a target: the same however often the workflow runs. */
export function rolloutIdOf(deployment: Deployment, target: string): string {
  const found = deployment.targets.find(({ name }) => name === target);
  if (!found) throw new Error(`The deployment ${deployment.id} has no target ${target}`);
  return found.rolloutId;
}
