import type { TargetRef } from '../../ports/fleet.ts';
import type { Records } from '../../ports/records.ts';
import { Problem } from '../../runtime/errors.ts';
import type { EpochMs } from '../../runtime/units.ts';
import { forgetTarget } from './rollout-record.ts';
import type { ScalingParts } from './scale.ts';
import { findService, managedIssue, serviceNameOf } from './service.ts';
import { listTasks } from './tasks.ts';
import { scaleInput, updateService } from './update-service.ts';

export type RetiringParts = ScalingParts & {
  readonly records: Records;
  readonly clock: () => EpochMs;
  readonly wait: (ms: number) => Promise<void>;
  /** How long one call waits until nothing runs; API Gateway grants 30 s. Default 20 s. */
  readonly waitSeconds?: number;
};

const lookEveryMs = 2000;

/**
 * Scales the target's service to none, waits until nothing runs and forgets the target. The service itself is the
 * app's stack's. Throws `Problem('busy')` when tasks drain for longer than a call may take: asked again, it goes on.
 */
export async function retireTarget(parts: RetiringParts, ref: TargetRef): Promise<void> {
  const name = serviceNameOf(ref);
  const service = name && (await findService(parts.ecs, name));
  const isOurs = service && managedIssue(service, { ...ref, prefix: parts.prefix }) === undefined;
  if (name && isOurs) {
    if (service.desiredCount !== 0) await updateService(parts.ecs, scaleInput(name, 0));
    const deadline = parts.clock() + (parts.waitSeconds ?? 20) * 1000;
    for (let left = await countLeft(parts, ref); left > 0; left = await countLeft(parts, ref)) {
      if (parts.clock() >= deadline) {
        throw new Problem('busy', `${left} tasks of ${ref.target.name} still drain and stop; ask again in a while`);
      }
      await parts.wait(lookEveryMs);
    }
  }
  await forgetTarget(parts.records, ref, service?.serviceArn);
}

async function countLeft({ ecs }: RetiringParts, ref: TargetRef): Promise<number> {
  const name = serviceNameOf(ref);
  const service = name && (await findService(ecs, name));
  if (!name || !service) return 0;
  const left = (await listTasks(ecs, name)).filter(({ lastStatus }) => lastStatus !== 'STOPPED').length;
  return Math.max(left, (service.runningCount ?? 0) + (service.pendingCount ?? 0));
}
