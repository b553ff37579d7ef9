import type { Deployment } from '../deployments/deployment.ts';
import { advance, changeDeployment } from '../deployments/store.ts';
import { deploymentEnvironment, deploymentTarget } from '../deployments/target-refs.ts';
import type { WorkflowPorts } from '../ports/ports.ts';
import { StepFailed } from '../runtime/errors.ts';
import { bakeWaitSeconds } from './patience.ts';
import { getWanted, stillWanted, type DeploymentInput, type Step } from './step.ts';

/** Watches what was rolled out for `bakeSeconds`: a task that fails in that time fails the deployment. */
export const verify: Step<DeploymentInput> = async (ports, { deploymentId }) => {
  const before = await getWanted(ports, deploymentId);
  const { bakeSeconds } = deploymentEnvironment(before).rollout;
  const at = ports.clock();
  const deployment = await advance(ports.records, {
    id: deploymentId,
    at,
    event: { kind: 'verify', until: at + bakeSeconds * 1000 },
    text: bakeSeconds > 0 ? `Watches the new revision for ${bakeSeconds} s` : 'Every target runs the new revision',
  });
  stillWanted(deployment);
  if (deployment.state.status !== 'verifying')
    throw new Error(`Expected a deployment that verifies, found ${deployment.state.status}`);
  await refuseFailures(ports, deployment);
  const leftSeconds = (deployment.state.until - ports.clock()) / 1000;
  if (leftSeconds <= 0) return { done: true, waitSeconds: 0 };
  return { done: false, waitSeconds: bakeWaitSeconds({ elapsedSeconds: bakeSeconds - leftSeconds, leftSeconds }) };
};

/** Compares each target's count of failures with what it was when the watch began, which the first look writes down. */
async function refuseFailures(ports: WorkflowPorts, deployment: Deployment): Promise<void> {
  const views = await Promise.all(
    deployment.targets.map(async ({ name }) => ({
      name,
      view: await ports.fleet.view(deploymentTarget(deployment, name)),
    })),
  );
  const failures = Object.fromEntries(views.map(({ name, view }) => [name, view.failures]));
  const { failuresBefore } = await changeDeployment(ports.records, deployment.id, (found) =>
    found.failuresBefore ? undefined : { ...found, failuresBefore: failures },
  );
  for (const { name, view } of views) {
    const isWorse = view.failures > (failuresBefore?.[name] ?? view.failures);
    const isOther = view.revision?.id !== deployment.revision?.id;
    if (isWorse)
      throw new StepFailed(
        'GateFailed',
        `${name}: a task failed while it was watched: ${view.lastFailure?.reason ?? 'unknown'}`,
      );
    if (isOther) throw new StepFailed('GateFailed', `${name}: runs another revision than the one rolled out`);
  }
}
