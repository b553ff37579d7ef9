import { deploymentTarget } from '../deployments/target-refs.ts';
import { rolloutIdOf } from './rollout-id.ts';
import { getWanted, type Step, type TargetInput } from './step.ts';

/** Makes sure that nothing of an old revision is left where a rollout is said to have succeeded; tried again if not yet. */
export const drained: Step<TargetInput> = async (ports, { deploymentId, target }) => {
  const deployment = await getWanted(ports, deploymentId);
  const { counts } = await ports.fleet.observeRollout(
    deploymentTarget(deployment, target),
    rolloutIdOf(deployment, target),
  );
  const left = counts.oldServing + counts.draining;
  if (left > 0) throw new Error(`${target}: ${left} old tasks still serve or drain`);
  return {};
};
