import * as v from 'valibot';
import { rememberBuildRun } from '../aws/build-events.ts';
import { rolloutOfService } from '../aws/fleet/rollout-record.ts';
import { parseExecutionName } from '../aws/workflow-requests.ts';
import { findDeployment } from '../deployments/store.ts';
import { resume } from '../deployments/turn.ts';
import { wakeRollout } from '../deployments/wake.ts';
import type { EventPorts } from '../ports/ports.ts';
import { messageOf } from '../runtime/errors.ts';
import { parseEvent, type Happening } from './parse-event.ts';

/** An execution that failed sooner than this is left to reconcile: begun anew at once, it would fail in a tight circle. */
const shortRunMs = 60_000;

export type EventHandler = (event: unknown) => Promise<void>;

/**
 * Takes an event of EventBridge and wakes whoever waits for what it tells. Events come late, twice, in any order, or not
 * at all: none is believed, each only makes somebody look. One that is of nobody's concern is passed over. What fails is
 * thrown, so that Lambda tries again and keeps it in the dead-letter queue at last.
 */
export function eventHandler(ports: EventPorts, { prefix }: { readonly prefix: string }): EventHandler {
  return async (event) => {
    const parsed = v.safeParse(parseEvent, event);
    if (!parsed.success) {
      const at = v.getDotPath(parsed.issues[0]) ?? '';
      ports.log.warn('an event was passed over: it is not as documented', { at });
      return;
    }
    const happening = parsed.output;
    if (!happening) return ports.log.debug('an event of another kind was passed over');
    const { id, kind } = happening;
    try {
      const woken = await take(ports, prefix, happening);
      ports.log.debug('an event was taken', { eventId: id, kind, woken });
    } catch (error) {
      ports.log.error('an event could not be taken', { eventId: id, kind, reason: messageOf(error) });
      throw error;
    }
  };
}

/** What it was of concern to; undefined for nobody. */
async function take(ports: EventPorts, prefix: string, happening: Happening): Promise<string | undefined> {
  switch (happening.kind) {
    case 'build':
      return await rememberBuildRun(ports.records, prefix, happening);
    case 'service':
      return await wakeService(ports, happening.serviceArn);
    case 'execution':
      return await goOn(ports, happening);
  }
}

async function wakeService(ports: EventPorts, serviceArn: string): Promise<string | undefined> {
  const rolloutId = await rolloutOfService(ports.records, serviceArn);
  if (rolloutId !== undefined) await wakeRollout(ports, rolloutId);
  return rolloutId;
}

/** Ends or goes on with the deployment of an execution that has ended; one that ended as it should has nothing left. */
async function goOn(
  ports: EventPorts,
  { executionArn, ranMs }: Extract<Happening, { kind: 'execution' }>,
): Promise<string | undefined> {
  const deploymentId = parseExecutionName(executionArn)?.deploymentId;
  if (deploymentId === undefined) return undefined;
  const deployment = await findDeployment(ports.records, deploymentId);
  if (!deployment || deployment.settled) return undefined;
  const isOver = 'endedAt' in deployment.state;
  if (!isOver && ranMs < shortRunMs) return undefined;
  if (await ports.workflow.isRunning(deploymentId)) return undefined;
  await resume(ports, deployment);
  return deploymentId;
}
