import type { RolloutStatus } from '../../ports/fleet.ts';
import type { EpochMs } from '../../runtime/units.ts';
import { countTasks, presentTasks, primaryOf, type Seen } from './look.ts';
import { failureReason } from './reason.ts';
import type { LiveRecord, RevertingRecord, RolloutEnd } from './rollout-record.ts';

/** What follows from a look at a rollout that has not ended. */
export type Decision =
  | { readonly kind: 'stay'; readonly status: Extract<RolloutStatus, 'in_progress' | 'failed'> }
  /** To be put back from now on; `isAsked`: ECS does so by itself. */
  | { readonly kind: 'undo'; readonly by: 'rollback' | 'update'; readonly reason: string; readonly isAsked?: true }
  /** It is to be put back, and ECS is not known to have been told. */
  | { readonly kind: 'ask' }
  | { readonly kind: 'end'; readonly status: RolloutEnd['status']; readonly reason: string };

/** What ECS did is seen by later calls after a while only; after this long what is shown is taken for the truth. */
const settledMs = 60_000;
/** Deregistration takes an hour at most, a stop two minutes: after that nothing that is ours drains any more. */
const longestDrainMs = 3_720_000;

/** What a rollout comes to, by what was seen of it; all that is done about it follows from this. Pure. */
export function decide(record: LiveRecord, seen: Seen, now: EpochMs): Decision {
  if (!seen.service)
    return ended('revert_failed', `The ECS service ${record.service} is not there any more, or may not be read`);
  if (record.phase === 'reverting') return decideReverting(record, seen, now);
  const isLate = now - record.startedAt > record.policy.timeLimitSeconds * 1000;
  if (record.phase === 'rolling' && record.taskDefinition === record.before) {
    return decideUnchanged(record, seen, isLate);
  }
  if (seen.deployment) return decideRolling(record, seen, { now, isLate });
  return isLate ? { kind: 'undo', by: 'update', reason: lateReason(record, seen) } : going;
}

const going = { kind: 'stay', status: 'in_progress' } as const;
const puttingBack = { kind: 'stay', status: 'failed' } as const;
const ended = (status: RolloutEnd['status'], reason = ''): Decision => ({ kind: 'end', status, reason });

/** It was asked for what runs already: there is no deployment to wait for. */
function decideUnchanged(record: LiveRecord, seen: Seen, isLate: boolean): Decision {
  const { newServing, desired } = countTasks(seen, record.before);
  if (newServing >= desired && presentTasks(seen, (arn) => arn !== record.before) === 0) return ended('succeeded');
  return isLate ? ended('reverted', `${lateReason(record, seen)}; nothing was changed`) : going;
}

function decideRolling(record: LiveRecord, seen: Seen, at: { now: EpochMs; isLate: boolean }): Decision {
  const { deployment } = seen;
  const taskDefinition = definitionOf(record);
  const reason = () => failureReason(deployment ?? {}, seen.tasks, taskDefinition ?? '');
  switch (deployment?.status) {
    case 'SUCCESSFUL':
      if (isReplaced(seen, taskDefinition)) return ended('revert_failed', otherUpdate(seen));
      return decideSuccessful(record, seen, at);
    case 'STOPPED':
      if (isReplaced(seen, taskDefinition)) return ended('revert_failed', otherUpdate(seen));
      return { kind: 'undo', by: 'update', reason: reason() };
    case 'ROLLBACK_REQUESTED':
    case 'ROLLBACK_IN_PROGRESS':
    case 'ROLLBACK_SUCCESSFUL':
    case 'ROLLBACK_FAILED':
      return { kind: 'undo', by: 'rollback', reason: reason(), isAsked: true };
    case 'PENDING':
    case 'IN_PROGRESS':
    case 'STOP_REQUESTED':
    case undefined:
  }
  return at.isLate ? { kind: 'undo', by: 'rollback', reason: lateReason(record, seen) } : going;
}

/** SUCCESSFUL does not mean drained where the service's early success criteria defer the clean-up; so that is looked at. */
function decideSuccessful(
  record: LiveRecord,
  seen: Seen,
  { now, isLate }: { now: EpochMs; isLate: boolean },
): Decision {
  const { newServing, desired, draining } = countTasks(seen, definitionOf(record));
  if (newServing < desired) {
    return isLate ? { kind: 'undo', by: 'update', reason: lateReason(record, seen) } : going;
  }
  const isOldGone = seen.deployment?.sourceServiceRevisions?.every(isEmpty) !== false;
  const left = presentTasks(seen, (arn) => arn !== definitionOf(record));
  const finishedAt = seen.deployment?.finishedAt?.getTime() ?? record.startedAt;
  const mayDrain = now - finishedAt <= longestDrainMs;
  return isOldGone && left === 0 && (draining === 0 || !mayDrain) ? ended('succeeded') : going;
}

function decideReverting(record: RevertingRecord, seen: Seen, now: EpochMs): Decision {
  const { reason, by, askedAt, since } = record.undoing;
  if (askedAt === undefined) return { kind: 'ask' };
  if (by === 'rollback') {
    const status = seen.deployment?.status;
    if (status === 'ROLLBACK_FAILED')
      return ended(
        'revert_failed',
        `${reason}; ECS could not roll back: ${seen.deployment?.statusReason || 'it says no reason'}`,
      );
    // The stop came too late, or ECS went back to something else than what ran before: a rollout that took over.
    if (status === 'STOPPED' || status === 'SUCCESSFUL') return { kind: 'undo', by: 'update', reason };
    const isDeaf = status === 'PENDING' || status === 'IN_PROGRESS';
    if (isDeaf && now - askedAt > settledMs) return { kind: 'ask' };
    if (status === 'ROLLBACK_SUCCESSFUL' && isElsewhere(record, seen)) return { kind: 'undo', by: 'update', reason };
  } else if (primaryOf(seen)?.taskDefinition === record.before && primaryOf(seen)?.rolloutState === 'FAILED') {
    return ended(
      'revert_failed',
      `${reason}; ${primaryOf(seen)?.rolloutStateReason || 'the tasks from before fail, too'}`,
    );
  } else if (now - askedAt > settledMs && isElsewhere(record, seen)) {
    return ended('revert_failed', `${reason}; ${otherUpdate(seen)}`);
  }
  if (isRestored(record, seen)) return ended('reverted', reason);
  const limitMs = record.policy.timeLimitSeconds * 1000 + longestDrainMs;
  if (now - since <= limitMs) return puttingBack;
  return ended(
    'revert_failed',
    `${reason}; the old revision does not serve with full capacity after ${Math.round(limitMs / 1000)} s`,
  );
}

/** The old revision serves with its full capacity, and nothing of the new one is left. */
function isRestored(record: RevertingRecord, seen: Seen): boolean {
  const { service } = seen;
  const { oldServing, desired } = countTasks(seen, record.taskDefinition);
  const isRolling = primaryOf(seen)?.rolloutState === 'IN_PROGRESS';
  if (service?.taskDefinition !== record.before || isRolling || oldServing < desired) return false;
  const rollbackDone = record.undoing.by === 'update' || seen.deployment?.status === 'ROLLBACK_SUCCESSFUL';
  return rollbackDone && presentTasks(seen, (arn) => arn === record.taskDefinition) === 0;
}

function isElsewhere(record: RevertingRecord, seen: Seen): boolean {
  return seen.service?.taskDefinition !== record.before;
}

/** Whether somebody else has updated the service since. */
function isReplaced(seen: Seen, taskDefinition: string | undefined): boolean {
  const primary = primaryOf(seen);
  if (!primary || primary.taskDefinition === taskDefinition) return false;
  return (primary.createdAt?.getTime() ?? 0) > (seen.deployment?.createdAt?.getTime() ?? 0);
}

function otherUpdate(seen: Seen): string {
  return `another update took its place: the service is to run ${nameOf(seen.service?.taskDefinition)}`;
}

function lateReason(record: LiveRecord, seen: Seen): string {
  const { newServing, desired } = countTasks(seen, definitionOf(record));
  return `${newServing} of ${desired} tasks served after ${record.policy.timeLimitSeconds} s`;
}

function definitionOf(record: LiveRecord): string | undefined {
  return record.phase === 'preparing' ? undefined : record.taskDefinition;
}

/** `family:revision` of a task definition's ARN. */
export function nameOf(taskDefinition: string | undefined): string {
  return taskDefinition?.split('/').at(-1) ?? 'nothing';
}

const isEmpty = (revision: { runningTaskCount?: number | undefined; pendingTaskCount?: number | undefined }) =>
  (revision.runningTaskCount ?? 0) + (revision.pendingTaskCount ?? 0) === 0;
