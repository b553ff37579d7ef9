import { buildLane, leave } from '../deployments/lane-store.ts';
import type { Ports } from '../ports/ports.ts';

/** Gives the app's build place back, and to whoever waits next; harmless when it was given back already. */
export async function passBuildTurn(
  ports: Pick<Ports, 'records' | 'workflow'>,
  app: string,
  deploymentId: string,
): Promise<void> {
  const lane = buildLane(app);
  let granted = await leave(ports.records, lane, deploymentId);
  // One whose waiting state is gone (its machine was restarted) enters again by itself and must not hold the place.
  while (granted && !(granted.token && (await ports.workflow.resume(granted.token, {})))) {
    granted = await leave(ports.records, lane, granted.holder);
  }
}
