import { deploymentEnvironment, deploymentTarget } from '../deployments/target-refs.ts';
import { recordProgress } from '../rollout/progress.ts';
import { getWanted, type Step, type TargetInput } from './step.ts';
import { rolloutIdOf } from './rollout-id.ts';

/** Begins the rollout on one target; the fleet does the rolling, and starting it again is harmless. */
export const startRollout: Step<TargetInput> = async (ports, { deploymentId, target }) => {
  const deployment = await getWanted(ports, deploymentId);
  const { revision } = deployment;
  if (!revision) throw new Error(`The deployment ${deploymentId} came to its rollout without a revision`);
  const { rollout, stickySessions } = deploymentEnvironment(deployment);
  const ref = deploymentTarget(deployment, target);
  const id = rolloutIdOf(deployment, target);
  await ports.fleet.startRollout(ref, { id, revision, policy: { ...rollout, stickySessions } });
  await recordProgress(ports, deploymentId, { target, observation: await ports.fleet.observeRollout(ref, id) });
  return {};
};
