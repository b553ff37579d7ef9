import type { ECSClient } from '@aws-sdk/client-ecs';
import type { TargetRef } from '../../ports/fleet.ts';
import { Problem } from '../../runtime/errors.ts';
import { getManagedService, serviceNameOf } from './service.ts';
import { scaleInput, updateService } from './update-service.ts';

export type ScalingParts = { readonly ecs: ECSClient; readonly prefix: string };

/**
 * Sets the service's number of tasks; ECS waits for health and drains. Where the app's stack scales the service by
 * itself (Application Auto Scaling), that goes on from this number, within its own bounds.
 */
export async function scaleTarget(parts: ScalingParts, ref: TargetRef, desiredCount: number): Promise<void> {
  const expected = 'a whole number from 0 to 1000';
  if (!Number.isInteger(desiredCount) || desiredCount < 0 || desiredCount > 1000) {
    throw new Problem('invalid', `desiredCount must be ${expected}`, { issues: [{ field: 'desiredCount', expected }] });
  }
  await getManagedService(parts, ref);
  const name = serviceNameOf(ref);
  if (name) await updateService(parts.ecs, scaleInput(name, desiredCount));
}
