import type { ApiPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import type { Deployment } from './deployment.ts';
import { buildLane, readLane } from './lane-store.ts';
import { ForbiddenTransition, isEnd } from './state.ts';
import { changeDeployment, findDeployment, getDeployment, tell } from './store.ts';
import { endDeployment, settle, type TurnPorts } from './turn.ts';
import { wakeRollout } from './wake.ts';

export type CancelPorts = TurnPorts & {
  readonly builder: Pick<ApiPorts['builder'], 'stop'>;
  readonly workflow: Pick<ApiPorts['workflow'], 'start' | 'fail' | 'resume'>;
};

/**
 * Cancels a deployment at whatever point it is: one that waits ends at once; else what was started is stopped and
 * what was changed is undone, which its workflow does and tells. Asking twice is harmless.
 * Throws `Problem('conflict')` for one that has ended otherwise.
 */
export async function cancelDeployment(
  ports: CancelPorts,
  input: { readonly id: string; readonly actor: string },
): Promise<Deployment> {
  const found = await getDeployment(ports.records, input.id);
  if (found.state.status === 'cancelled') return found;
  if (isEnd(found.state)) throw new Problem('conflict', `The deployment has ended already: ${found.state.status}`);
  return await carryOut(ports, await askToCancel(ports, input));
}

/** Cancels those that have not ended by themselves, in that order. */
export async function cancelOpen(
  ports: CancelPorts,
  input: { readonly ids: readonly string[]; readonly actor: string },
): Promise<void> {
  for (const id of input.ids) {
    const found = await findDeployment(ports.records, id);
    if (found && !isEnd(found.state)) await carryOut(ports, await askToCancel(ports, { id, actor: input.actor }));
  }
}

/**
 * Does what a cancellation that was asked for needs, if one was; again, where whoever asked was lost, or came a moment
 * too early. Answers with the deployment as it is then.
 */
export async function carryOut(ports: CancelPorts, deployment: Deployment): Promise<Deployment> {
  if (!deployment.cancel || isEnd(deployment.state)) return deployment;
  if (deployment.state.status !== 'queued' || !(await endQueued(ports, deployment.id, deployment.cancel.by))) {
    await stopWork(ports, await getDeployment(ports.records, deployment.id));
  }
  return await getDeployment(ports.records, deployment.id);
}

/** Says in the record that it is to be cancelled: whatever step comes next sees it. */
async function askToCancel(ports: CancelPorts, input: { id: string; actor: string }): Promise<Deployment> {
  const at = ports.clock();
  return await changeDeployment(ports.records, input.id, (deployment) => {
    if (deployment.cancel || isEnd(deployment.state)) return undefined;
    const asked = { ...deployment, cancel: { by: input.actor, at } };
    return tell(asked, { at, kind: 'cancel', text: `${input.actor} asked to cancel` });
  });
}

/** False when it has begun to roll meanwhile: then it is its workflow that undoes and ends it. */
async function endQueued(ports: CancelPorts, id: string, actor: string): Promise<boolean> {
  try {
    const reason = `Cancelled by ${actor} before it began`;
    await settle(ports, await endDeployment(ports, id, { status: 'cancelled', reason }));
    return true;
  } catch (error) {
    if (error instanceof ForbiddenTransition) return false;
    throw error;
  }
}

/** Stops a running build, and wakes whatever the workflow waits for, so that it sees the cancellation now. */
async function stopWork(ports: CancelPorts, deployment: Deployment): Promise<void> {
  if (deployment.state.status === 'building') {
    await stopWaitingForBuild(ports, deployment);
    if (deployment.buildId) await stopBuild(ports, deployment.buildId);
  }
  for (const target of deployment.targets) await wakeRollout(ports, target.rolloutId, { atOnce: true });
}

/**
 * One that does not end at once is being stopped, or is asked again by whoever reconciles: who asked to cancel, or to go
 * back, is not refused because of it.
 */
async function stopBuild({ builder }: CancelPorts, buildId: string): Promise<void> {
  try {
    await builder.stop(buildId);
  } catch (error) {
    if (!(error instanceof Problem && error.kind === 'busy')) throw error;
  }
}

/** Its place in the queue is left by its workflow, which passes on the turn that may have come to it meanwhile. */
async function stopWaitingForBuild(ports: CancelPorts, deployment: Deployment): Promise<void> {
  const { queue } = await readLane(ports.records, buildLane(deployment.app));
  const token = queue.find(({ holder }) => holder === deployment.id)?.token;
  if (token) await ports.workflow.fail(token, { name: 'Cancelled', reason: 'Cancelled while it waited to be built' });
}
