import type { Deployment } from '../deployments/deployment.ts';
import { deploymentEnvironment, deploymentTarget } from '../deployments/target-refs.ts';
import { recordProgress } from '../rollout/progress.ts';
import { getWanted, type Step, type TargetInput } from './step.ts';
import { StepFailed } from '../runtime/errors.ts';
import { rolloutIdOf } from './rollout-id.ts';

/** Begins the rollout on one target; the fleet does the rolling, and starting it again is harmless. */
export const startRollout: Step<TargetInput> = async (ports, { deploymentId, target }) => {
  const deployment = await getWanted(ports, deploymentId);
  const { revision } = deployment;
  if (!revision) throw new Error(`The deployment ${deploymentId} came to its rollout without a revision`);
  refuseBeforeItsWave(deployment, target);
  const { rollout, stickySessions } = deploymentEnvironment(deployment);
  const ref = deploymentTarget(deployment, target);
  const id = rolloutIdOf(deployment, target);
  await ports.fleet.startRollout(ref, { id, revision, policy: { ...rollout, stickySessions } });
  await recordProgress(ports, deploymentId, { target, observation: await ports.fleet.observeRollout(ref, id) });
  return {};
};

/**
 * Where a wave has failed the next one is not begun. Step Functions sees to that by itself; aws-local-stepfunctions
 * (3.0.0) begins an iteration that waits in the very moment in which the one before it fails, and the way back with it.
 */
function refuseBeforeItsWave({ targets }: Deployment, target: string): void {
  const wave = targets.find(({ name }) => name === target)?.wave ?? 0;
  const before = targets.find((other) => other.wave < wave && other.status !== 'succeeded');
  if (before) throw new StepFailed('Interrupted', `${target} waits for ${before.name}, which is of an earlier wave`);
}
