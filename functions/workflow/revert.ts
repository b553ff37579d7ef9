import { endBuild } from '../builds/store.ts';
import type { Deployment } from '../deployments/deployment.ts';
import { isEnd } from '../deployments/state.ts';
import { advance, getDeployment } from '../deployments/store.ts';
import { deploymentTarget } from '../deployments/target-refs.ts';
import { endDeployment } from '../deployments/turn.ts';
import type { RolloutObservation } from '../ports/fleet.ts';
import type { WorkflowPorts } from '../ports/ports.ts';
import { recordProgress } from '../rollout/progress.ts';
import { passBuildTurn } from './build-turns.ts';
import { patienceWith } from './patience.ts';
import { wavesOf } from './plan.ts';
import { rolloutIdOf } from './rollout-id.ts';
import { causeOf, type CaughtError, type DeploymentInput, type Step } from './step.ts';

type Input = DeploymentInput & { readonly error: CaughtError };

/**
 * Undoes what a deployment changed, the last wave first; called again until it is done. One that changed nothing
 * ends here.
 */
export const revert: Step<Input> = async (ports, { deploymentId, error }) => {
  const deployment = await getDeployment(ports.records, deploymentId);
  await passBuildTurn(ports, deployment.app, deploymentId);
  if (isEnd(deployment.state)) return finished;
  if (deployment.state.status === 'queued' || deployment.state.status === 'building') {
    await stopBuild(ports, deployment);
    await endDeployment(ports, deploymentId, endBeforeRolling(deployment, error));
    return finished;
  }
  const undoing = await advance(ports.records, {
    id: deploymentId,
    at: ports.clock(),
    event: { kind: 'undo', ...whyUndone(deployment, error) },
    text: whyUndone(deployment, error).reason,
  });
  const waitFor = await revertWaves(ports, undoing);
  const { waitSeconds } = patienceWith(undoing, ports.clock());
  return waitFor ? { done: false, ...waitFor, waitSeconds } : finished;
};

const finished = { done: true, target: '', marker: '', waitSeconds: 1 } as const;

/** Nothing of a build goes on under a deployment that has ended, and none stays open that never began. */
async function stopBuild(ports: WorkflowPorts, { buildId }: Deployment): Promise<void> {
  if (!buildId) return;
  await ports.builder.stop(buildId);
  const reason = 'Its deployment ended before it did';
  await endBuild(ports.records, buildId, { status: 'stopped', endedAt: ports.clock(), reason });
}

function endBeforeRolling({ cancel }: Deployment, error: CaughtError) {
  if (cancel)
    return { status: 'cancelled', reason: `Cancelled by ${cancel.by}; nothing that runs was changed` } as const;
  const reason = causeOf(error);
  return error.Error === 'Superseded'
    ? ({ status: 'superseded', reason } as const)
    : ({ status: 'failed', reason: `${reason}; nothing that runs was changed` } as const);
}

function whyUndone({ cancel }: Deployment, error: CaughtError): { cause: 'failure' | 'cancel'; reason: string } {
  if (cancel && error.Error !== 'GateFailed') return { cause: 'cancel', reason: `Cancelled by ${cancel.by}` };
  return { cause: 'failure', reason: causeOf(error) };
}

/** Puts one wave back after the other; the first target that is not done yet is who to wait for. */
async function revertWaves(
  ports: WorkflowPorts,
  deployment: Deployment,
): Promise<{ target: string; marker: string } | undefined> {
  for (const { targets } of wavesOf(deployment.id, deployment.targets).reverse()) {
    const seen = await Promise.all(
      targets.map(async ({ target }) => ({ target, observation: await revertTarget(ports, deployment, target) })),
    );
    const going = seen.find(({ observation }) => observation && !isSettled(observation));
    if (going?.observation) return { target: going.target, marker: going.observation.marker };
  }
  return undefined;
}

async function revertTarget(
  ports: WorkflowPorts,
  deployment: Deployment,
  target: string,
): Promise<RolloutObservation | undefined> {
  const progress = deployment.targets.find(({ name }) => name === target);
  if (!progress || progress.status === 'waiting') return await revertUnseen(ports, deployment, target);
  const ref = deploymentTarget(deployment, target);
  if (deployment.state.status === 'rolling_back' && !isSettled(progress)) {
    await ports.fleet.revertRollout(ref, progress.rolloutId, deployment.state.reason);
  }
  const observation = await ports.fleet.observeRollout(ref, progress.rolloutId);
  await recordProgress(ports, deployment.id, { target, observation });
  return observation;
}

/**
 * A rollout that was started, and whose start nobody wrote down before the worker was lost, is undone as well. One that
 * was never started is told to the fleet too: a start that is still on its way comes to nothing then.
 */
async function revertUnseen(
  ports: WorkflowPorts,
  deployment: Deployment,
  target: string,
): Promise<RolloutObservation | undefined> {
  const rolloutId = rolloutIdOf(deployment, target);
  const ref = deploymentTarget(deployment, target);
  const before = await ports.fleet.observeRollout(ref, rolloutId).catch(() => undefined);
  // Written down before it is undone: run again from here, it must not pass for one that never began.
  if (before && before.status !== 'reverted') {
    await recordProgress(ports, deployment.id, { target, observation: before });
  }
  await ports.fleet.revertRollout(ref, rolloutId, 'The deployment is undone');
  const after = await ports.fleet.observeRollout(ref, rolloutId);
  if (after.status === 'reverted' && (!before || before.status === 'reverted')) return undefined;
  await recordProgress(ports, deployment.id, { target, observation: after });
  return after;
}

function isSettled({ status }: { readonly status: string }): boolean {
  return status === 'reverted' || status === 'revert_failed';
}
