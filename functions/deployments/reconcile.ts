import type { ApiPorts } from '../ports/ports.ts';
import { messageOf } from '../runtime/errors.ts';
import { carryOut } from './cancel.ts';
import type { Deployment } from './deployment.ts';
import { getDeployment, openDeployments } from './store.ts';
import { resume, type TurnPorts } from './turn.ts';

/**
 * Goes on with every deployment that is not settled, wherever it lost its worker, and with every cancellation that
 * nobody has acted on; harmless for those that are well.
 * At the start of a machine, and every minute after. Answers with how many it looked at.
 */
export async function reconcile(ports: TurnPorts & Pick<ApiPorts, 'builder' | 'log'>): Promise<number> {
  let looked = 0;
  let after: string | undefined;
  do {
    const page = await ports.records.list<Deployment>({
      partition: openDeployments,
      index: 'open',
      ...(after ? { after } : {}),
    });
    for (const { value } of page.items) {
      looked += 1;
      await resumeOne(ports, value.id);
    }
    after = page.next;
  } while (after);
  return looked;
}

/** One that cannot go on must not keep the others from it. */
async function resumeOne(ports: Parameters<typeof reconcile>[0], id: string): Promise<void> {
  try {
    // The index may be behind the record.
    const deployment = await carryOut(ports, await getDeployment(ports.records, id));
    if (!(await ports.workflow.isRunning(id))) await resume(ports, deployment);
  } catch (error) {
    ports.log.error('deployment not resumed', { deploymentId: id, error: messageOf(error) });
  }
}
