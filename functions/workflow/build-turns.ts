import { buildLane, leave, readLane } from '../deployments/lane-store.ts';
import { findDeployment } from '../deployments/store.ts';
import type { WorkflowPorts } from '../ports/ports.ts';

/** Gives the app's build place back, and to whoever waits next; harmless when it was given back already. */
export async function passBuildTurn(
  ports: Pick<WorkflowPorts, 'records' | 'workflow'>,
  app: string,
  deploymentId: string,
): Promise<void> {
  const lane = buildLane(app);
  let granted = await leave(ports.records, lane, { holder: deploymentId });
  // One whose waiting state is gone (its machine was restarted) enters again by itself and must not hold the place; the
  // place it has by having entered again already is another one.
  while (granted && !(granted.token && (await ports.workflow.resume(granted.token, {})))) {
    granted = await leave(ports.records, lane, granted);
  }
}

/** Passes the build place on when whoever holds it is settled, or is not there: nobody else would give it back. */
export async function passBuildTurnOfGone(
  ports: Pick<WorkflowPorts, 'records' | 'workflow'>,
  app: string,
): Promise<void> {
  const { active } = await readLane(ports.records, buildLane(app));
  const holder = active && (await findDeployment(ports.records, active.holder));
  if (active && (!holder || holder.settled)) await passBuildTurn(ports, app, active.holder);
}
