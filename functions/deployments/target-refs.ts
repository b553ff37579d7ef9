import type { Environment } from '../apps/schema.ts';
import type { TargetRef } from '../ports/fleet.ts';
import type { Deployment } from './deployment.ts';

/** The targets of an environment as the fleet knows them. */
export function targetRefs(app: string, environment: Environment): readonly TargetRef[] {
  const { name, domains, targets } = environment;
  return targets.map((target) => ({ app, environment: name, target, domains }));
}

/** The environment a deployment goes to, as it was when the deployment was asked for. */
export function deploymentEnvironment(deployment: Deployment): Environment {
  const found = deployment.settings.environments.find(({ name }) => name === deployment.environment);
  if (!found) throw new Error(`The deployment ${deployment.id} was made for an environment that its app does not have`);
  return found;
}

/** One target of a deployment as the fleet knows it. */
export function deploymentTarget(deployment: Deployment, targetName: string): TargetRef {
  const refs = targetRefs(deployment.app, deploymentEnvironment(deployment));
  const found = refs.find(({ target }) => target.name === targetName);
  if (!found) throw new Error(`The deployment ${deployment.id} has no target ${targetName}`);
  return found;
}
