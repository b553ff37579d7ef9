import { buildLane, enter } from '../deployments/lane-store.ts';
import { getDeployment } from '../deployments/store.ts';
import { passBuildTurn, passBuildTurnOfGone } from './build-turns.ts';
import type { DeploymentInput, Step } from './step.ts';

/** Waits for the app's one build place: the token is answered when it is this deployment's turn. */
export const awaitBuildTurn: Step<DeploymentInput & { readonly token: string }> = async (ports, input) => {
  const { deploymentId, token } = input;
  const { app, createdAt } = await getDeployment(ports.records, deploymentId);
  const entered = await enter(ports.records, buildLane(app), {
    entry: { holder: deploymentId, at: createdAt, supersedes: false, token },
  });
  // Asked for after the token is known, so that a cancellation in between is seen by one of the two.
  const { cancel } = await getDeployment(ports.records, deploymentId);
  if (cancel) {
    await passBuildTurn(ports, app, deploymentId);
    await ports.workflow.fail(token, { name: 'Cancelled', reason: `Cancelled by ${cancel.by}` });
  } else if (entered.outcome === 'active') {
    await ports.workflow.resume(token, {});
  } else {
    await passBuildTurnOfGone(ports, app);
  }
  return {};
};
