import type { Ports } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import type { EpochMs } from '../runtime/units.ts';
import type { Deployment } from './deployment.ts';
import { deploymentLane, enter, leave, readLane, type Entering } from './lane-store.ts';
import type { Entered, LaneEntry } from './lane.ts';
import { measureDeployment } from './measure.ts';
import { rememberRelease } from './releases.ts';
import { ForbiddenTransition, isEnd, type End } from './state.ts';
import { changeDeployment, findDeployment, move } from './store.ts';

export type TurnPorts = Pick<Ports, 'records' | 'clock' | 'metrics'> & {
  readonly workflow: Pick<Ports['workflow'], 'start'>;
};

/** Goes on with a deployment wherever its worker left it; harmless for one whose worker is well. */
export async function resume(ports: TurnPorts, deployment: Deployment): Promise<void> {
  if (deployment.settled) return;
  if (isEnd(deployment.state)) return await settle(ports, deployment);
  const { outcome } = await takeTurn(ports, deployment);
  const now = await findDeployment(ports.records, deployment.id);
  // Ended since it was read, it has come back into a lane that it had left.
  if (now && isEnd(now.state)) await settle(ports, now);
  else if (outcome === 'queued') await passHolderWhoIsGone(ports, laneOf(deployment));
}

/** No worker would ever free a lane that is held by a deployment that is settled, or that is not there. */
async function passHolderWhoIsGone(ports: TurnPorts, lane: string): Promise<void> {
  const { active } = await readLane(ports.records, lane);
  const holder = active && (await findDeployment(ports.records, active.holder));
  if (active && (!holder || holder.settled)) {
    await grant(ports, lane, await leave(ports.records, lane, { holder: active.holder }));
  }
}

/**
 * Brings a deployment into its lane and starts its workflow when its turn has come. An execution starts with the
 * turn and not before: what is superseded while it waits costs none. Safe to repeat at any time.
 */
export async function takeTurn(
  ports: TurnPorts,
  deployment: Deployment,
  pushed: Pick<Entering, 'push' | 'read'> = {},
): Promise<Entered> {
  const entered = await enter(ports.records, laneOf(deployment), {
    entry: { holder: deployment.id, at: deployment.createdAt, supersedes: supersedes(deployment) },
    ...pushed,
  });
  if (entered.outcome === 'late') await supersede(ports, deployment.id, entered.by);
  if (!('superseded' in entered)) return entered;
  for (const older of entered.superseded) await supersede(ports, older.holder, deployment.id);
  if (entered.outcome === 'active') await ports.workflow.start(deployment.id);
  return entered;
}

/**
 * Frees the lane of a deployment that has ended, gives it to whoever waits next, and calls the deployment settled. One
 * that succeeded is remembered first: the next one may be a rollback.
 */
export async function settle(ports: TurnPorts, deployment: Deployment): Promise<void> {
  if (deployment.state.status === 'succeeded') await remember(ports, deployment, deployment.state.endedAt);
  const granted = await leave(ports.records, laneOf(deployment), { holder: deployment.id });
  await changeDeployment(ports.records, deployment.id, (found) =>
    found.settled ? undefined : { ...found, settled: true },
  );
  await grant(ports, laneOf(deployment), granted);
}

async function grant(ports: TurnPorts, lane: string, to: LaneEntry | undefined): Promise<void> {
  let granted = to;
  while (granted) {
    const next = await findDeployment(ports.records, granted.holder);
    if (next && !isEnd(next.state)) {
      await ports.workflow.start(next.id);
      return;
    }
    // Its turn came after its end (or it was never made): it must not hold the lane.
    granted = await leave(ports.records, lane, { holder: granted.holder });
  }
}

export type Ending = Omit<End, 'endedAt'> & {
  /** It is in no lane and nothing is left to do. */
  readonly settled?: boolean;
  /** Throws when the deployment, as it is at the moment of its end, must not end so. */
  readonly refuse?: (deployment: Deployment) => unknown;
};

/** Gives a deployment its end, unless it has one, and counts it. */
export async function endDeployment(
  ports: TurnPorts,
  id: string,
  { settled = false, refuse, ...end }: Ending,
): Promise<Deployment> {
  const at = ports.clock();
  const event = { kind: 'end', end: { ...end, endedAt: at } } as const;
  let isNow = false;
  const deployment = await changeDeployment(ports.records, id, (found) => {
    const ended = move(found, { at, event, text: end.reason, with: () => ({ settled }) });
    if (ended) refuse?.(found);
    // Said anew for each attempt: another may have ended it between the last one and this.
    isNow = ended !== undefined;
    return ended;
  });
  if (isNow) ports.metrics.deploymentEnded(measureDeployment(deployment));
  return deployment;
}

async function remember(ports: TurnPorts, deployment: Deployment, at: EpochMs): Promise<void> {
  const { id, app, environment, request } = deployment;
  const restores = request.kind === 'revision' ? { restores: request.deploymentId } : {};
  await rememberRelease(ports.records, { app, environment }, { deploymentId: id, at, ...restores });
}

/** Ends one whose place in the lane is gone already; one that has begun cannot have lost it and is left alone. */
async function supersede(ports: TurnPorts, id: string, by: string): Promise<void> {
  const reason = `A newer deployment of the same environment took its place: ${by}`;
  await endDeployment(ports, id, { status: 'superseded', reason, settled: true }).catch((error: unknown) => {
    const isHarmless = error instanceof ForbiddenTransition || (error instanceof Problem && error.kind === 'not-found');
    if (!isHarmless) throw error;
  });
}

function laneOf(deployment: Deployment): string {
  return deploymentLane(deployment.app, deployment.environment);
}

function supersedes(deployment: Deployment): boolean {
  return deployment.settings.environments.find(({ name }) => name === deployment.environment)?.supersede ?? true;
}
