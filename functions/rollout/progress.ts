import type { Deployment, TargetProgress } from '../deployments/deployment.ts';
import { isEnd } from '../deployments/state.ts';
import { changeDeployment, tell } from '../deployments/store.ts';
import type { RolloutCounts, RolloutObservation } from '../ports/fleet.ts';
import type { Ports } from '../ports/ports.ts';

/**
 * How the rollout on one target stands, told in the deployment; nothing is written when nothing changed, nor after its
 * end: a step that was still on its way then has nothing to tell any more.
 */
export async function recordProgress(
  ports: Pick<Ports, 'records' | 'clock'>,
  deploymentId: string,
  seen: { readonly target: string; readonly observation: RolloutObservation },
): Promise<Deployment> {
  const { target, observation } = seen;
  return await changeDeployment(ports.records, deploymentId, (deployment) => {
    const before = deployment.targets.find(({ name }) => name === target);
    if (isEnd(deployment.state) || !before || isSame(before, observation)) return undefined;
    const { status, reason, counts } = observation;
    const targets = deployment.targets.map((entry) =>
      entry === before ? { ...entry, status, reason, counts } : entry,
    );
    const text = describe(target, observation);
    const changed = { ...deployment, targets };
    return before.status === status && text === describeBefore(target, before)
      ? changed
      : tell(changed, { at: ports.clock(), kind: 'target', target, text });
  });
}

function isSame(before: TargetProgress, now: RolloutObservation): boolean {
  return before.status === now.status && before.reason === now.reason && sameCounts(before.counts, now.counts);
}

function sameCounts(a: RolloutCounts | undefined, b: RolloutCounts): boolean {
  return a !== undefined && (Object.keys(b) as (keyof RolloutCounts)[]).every((key) => a[key] === b[key]);
}

function describeBefore(target: string, before: TargetProgress): string | undefined {
  if (before.status === 'waiting' || !before.counts) return undefined;
  return describe(target, { status: before.status, reason: before.reason, counts: before.counts });
}

function describe(target: string, { status, reason, counts }: Omit<RolloutObservation, 'marker'>): string {
  const { newServing, desired, oldServing, draining } = counts;
  switch (status) {
    case 'in_progress':
      return `${target}: ${newServing} of ${desired} new tasks serve, ${oldServing} old, ${draining} draining`;
    case 'succeeded':
      return `${target}: ${newServing} of ${desired} new tasks serve, the old ones are drained and stopped`;
    case 'failed':
      return `${target}: the rollout failed, and the old revision is put back`;
    case 'reverted':
      return `${target}: ${desired > 0 ? 'the old revision serves again' : 'the new tasks are stopped; none served before'}`;
    case 'revert_failed':
      return `${target}: the old revision could not be put back: ${reason}`;
  }
}
