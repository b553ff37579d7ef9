import { deploymentLane, readLane } from '../deployments/lane-store.ts';
import { StepFailed } from '../runtime/errors.ts';
import { getWanted, type DeploymentInput, type Step } from './step.ts';

/**
 * Makes sure that the lane is this deployment's. The execution is started when it is, so anything else means that the
 * lane was lost to a newer deployment, or that this execution is a late one.
 */
export const acquire: Step<DeploymentInput> = async (ports, { deploymentId }) => {
  const deployment = await getWanted(ports, deploymentId);
  const lane = await readLane(ports.records, deploymentLane(deployment.app, deployment.environment));
  if (lane.active?.holder !== deploymentId) {
    throw new StepFailed('Superseded', `The lane is held by ${lane.active?.holder ?? 'nobody'}`);
  }
  return {};
};
