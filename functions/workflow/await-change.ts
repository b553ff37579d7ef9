import { getDeployment } from '../deployments/store.ts';
import { deploymentTarget } from '../deployments/target-refs.ts';
import { rememberWaiter } from '../deployments/wake.ts';
import { patienceWith } from './patience.ts';
import { rolloutIdOf } from './rollout-id.ts';
import type { Step, TargetInput } from './step.ts';

/**
 * Waits until the rollout on a target is not what it was: a change answers the token, and the state's time-out looks
 * again when no news came.
 */
export const awaitChange: Step<TargetInput & { readonly marker: string; readonly token: string }> = async (
  ports,
  input,
) => {
  const { deploymentId, target, marker, token } = input;
  const before = await getDeployment(ports.records, deploymentId);
  const rolloutId = rolloutIdOf(before, target);
  const now = ports.clock();
  const quietUntil = now + patienceWith(before, now).quietSeconds * 1000;
  await rememberWaiter(ports, rolloutId, { token, quietUntil });
  // Looked at after the token is known: what changed in between would wake nobody.
  const [deployment, observation] = await Promise.all([
    getDeployment(ports.records, deploymentId),
    ports.fleet.observeRollout(deploymentTarget(before, target), rolloutId),
  ]);
  const isCancelled = deployment.cancel !== undefined && deployment.state.status !== 'rolling_back';
  if (isCancelled || observation.marker !== marker) await ports.workflow.resume(token, {});
  return {};
};
