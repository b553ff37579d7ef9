import { deploymentTarget } from '../deployments/target-refs.ts';
import { recordProgress } from '../rollout/progress.ts';
import { StepFailed } from '../runtime/errors.ts';
import { patienceWith } from './patience.ts';
import { rolloutIdOf } from './rollout-id.ts';
import { getWanted, stillWanted, type Step, type TargetInput } from './step.ts';

/** Looks how the rollout on one target stands, and tells it; throws `GateFailed` when the fleet gave it up. */
export const observe: Step<TargetInput> = async (ports, { deploymentId, target }) => {
  const deployment = await getWanted(ports, deploymentId);
  const ref = deploymentTarget(deployment, target);
  const observation = await ports.fleet.observeRollout(ref, rolloutIdOf(deployment, target));
  stillWanted(await recordProgress(ports, deploymentId, { target, observation }));
  const { status, reason, marker } = observation;
  const { waitSeconds } = patienceWith(deployment, ports.clock());
  if (status === 'in_progress') return { done: false, marker, waitSeconds };
  if (status === 'succeeded') return { done: true, marker, waitSeconds };
  throw new StepFailed('GateFailed', `${target}: ${reason}`);
};
