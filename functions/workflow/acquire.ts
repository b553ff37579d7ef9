import { findApp } from '../apps/registry.ts';
import { deploymentLane, readLane } from '../deployments/lane-store.ts';
import { StepFailed } from '../runtime/errors.ts';
import { getWanted, type DeploymentInput, type Step } from './step.ts';

/**
 * Makes sure that the lane is this deployment's. The execution is started when it is, so anything else means that the
 * lane was lost to a newer deployment, or that this execution is a late one. What was asked for of an app or environment
 * that is gone meanwhile is not begun: nobody could name what would run.
 */
export const acquire: Step<DeploymentInput> = async (ports, { deploymentId }) => {
  const deployment = await getWanted(ports, deploymentId);
  const lane = await readLane(ports.records, deploymentLane(deployment.app, deployment.environment));
  if (lane.active?.holder !== deploymentId) {
    throw new StepFailed('Superseded', `The lane is held by ${lane.active?.holder ?? 'nobody'}`);
  }
  const record = await findApp(ports.records, deployment.app);
  if (!record?.app.environments.some(({ name }) => name === deployment.environment)) {
    throw new StepFailed('Interrupted', `${deployment.app} has no environment ${deployment.environment} any more`);
  }
  return {};
};
