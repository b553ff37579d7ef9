import { isEnd } from '../deployments/state.ts';
import { advance, getDeployment } from '../deployments/store.ts';
import { endDeployment } from '../deployments/turn.ts';
import { causeOf, type CaughtError, type DeploymentInput, type Step } from './step.ts';

/** Ends a deployment whose undoing itself failed: it says so, and a person has to look. */
export const abandon: Step<DeploymentInput & { readonly error: CaughtError }> = async (
  ports,
  { deploymentId, error },
) => {
  const deployment = await getDeployment(ports.records, deploymentId);
  if (isEnd(deployment.state)) return {};
  const reason = `Undoing it failed: ${causeOf(error)}`;
  if (deployment.state.status === 'rolling' || deployment.state.status === 'verifying') {
    const event = { kind: 'undo', cause: 'failure', reason } as const;
    await advance(ports.records, { id: deploymentId, at: ports.clock(), event, text: reason });
  }
  await endDeployment(ports, deploymentId, { status: 'failed', reason });
  return {};
};
