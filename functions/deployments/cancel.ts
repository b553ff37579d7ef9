import type { Ports } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import type { Deployment } from './deployment.ts';
import { buildLane, leave, readLane } from './lane-store.ts';
import { isEnd } from './state.ts';
import { changeDeployment, getDeployment, tell } from './store.ts';
import { endDeployment, settle, type TurnPorts } from './turn.ts';
import { wakeRollout } from './wake.ts';

type CancelPorts = TurnPorts & Pick<Ports, 'builder'>;

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
  const asked = await askToCancel(ports, input);
  if (asked.state.status === 'queued') return await endQueued(ports, asked, input.actor);
  await stopWork(ports, asked);
  return await getDeployment(ports.records, input.id);
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

async function endQueued(ports: CancelPorts, deployment: Deployment, actor: string): Promise<Deployment> {
  const reason = `Cancelled by ${actor} before it began`;
  const ended = await endDeployment(ports, deployment.id, { status: 'cancelled', reason });
  await settle(ports, ended);
  return await getDeployment(ports.records, deployment.id);
}

/** Stops a running build, and wakes whatever the workflow waits for, so that it sees the cancellation now. */
async function stopWork(ports: CancelPorts, deployment: Deployment): Promise<void> {
  if (deployment.state.status === 'building') {
    await stopWaitingForBuild(ports, deployment);
    if (deployment.buildId) await ports.builder.stop(deployment.buildId);
  }
  for (const target of deployment.targets) await wakeRollout(ports, target.rolloutId);
}

async function stopWaitingForBuild(ports: CancelPorts, deployment: Deployment): Promise<void> {
  const lane = buildLane(deployment.app);
  const waiting = (await readLane(ports.records, lane)).queue.find(({ holder }) => holder === deployment.id);
  if (!waiting?.token) return;
  await leave(ports.records, lane, deployment.id);
  await ports.workflow.fail(waiting.token, { name: 'Cancelled', reason: 'Cancelled while it waited to be built' });
}
