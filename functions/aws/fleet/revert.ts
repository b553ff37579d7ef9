import type { TargetRef } from '../../ports/fleet.ts';
import type { Stored } from '../../ports/records.ts';
import { findDeployment } from './find-deployment.ts';
import { countTasks, look } from './look.ts';
import {
  begunOf,
  createRollout,
  endRollout,
  findRollout,
  isTakenOver,
  noCounts,
  replaceRollout,
  type RegisteredRecord,
  type RevertingRecord,
  type RollingRecord,
  type RolloutRecord,
} from './rollout-record.ts';
import { askForUndoing, type RollingParts } from './undo.ts';

type Known = Exclude<RolloutRecord, { phase: 'never' }>;

/**
 * Puts back what a rollout changed: in the middle of it by ECS's own rollback, afterwards by an update to the task
 * definition that ran before. That it is to be put back is written down first, and `observeRollout` goes on from there.
 */
export async function revertRollout(
  parts: RollingParts,
  ref: TargetRef,
  to: { readonly id: string; readonly reason: string },
): Promise<void> {
  for (;;) {
    const stored = await findRollout(parts.records, ref, to.id);
    const isDone = stored
      ? await revertKnown(parts, ref, { stored, reason: to.reason })
      : await createRollout(parts.records, ref, { phase: 'never', ...to });
    if (isDone) return;
  }
}

/** False when somebody else wrote meanwhile. */
async function revertKnown(
  parts: RollingParts,
  ref: TargetRef,
  { stored, reason }: { readonly stored: Stored<RolloutRecord>; readonly reason: string },
): Promise<boolean> {
  const { value: record } = stored;
  if (record.phase === 'never' || (record.phase === 'ended' && record.end.status !== 'succeeded')) return true;
  if (record.phase === 'reverting') return await askOnce(parts, stored as Stored<RevertingRecord>);
  const known = stored as Stored<Known>;
  if (await isTakenOver(parts.records, ref, record)) {
    const later = `${reason}; but a later rollout has taken its place`;
    return await ended(parts, known, { status: 'revert_failed', reason: later });
  }
  const hasChanged = record.phase !== 'preparing' && record.taskDefinition !== record.before;
  if (!hasChanged) return await ended(parts, known, { status: 'reverted', reason });
  return await beginUndoing(parts, known, reason);
}

async function beginUndoing(parts: RollingParts, stored: Stored<Known>, reason: string): Promise<boolean> {
  const record = stored.value as RegisteredRecord | RollingRecord | Extract<Known, { phase: 'ended' }>;
  const taskDefinition = record.taskDefinition ?? record.before;
  const deployment = record.phase === 'rolling' ? await deploymentOf(parts, record) : undefined;
  const by = deployment === undefined ? ('update' as const) : ('rollback' as const);
  const written = await replaceRollout(parts.records, stored, {
    ...begunOf(record),
    phase: 'reverting',
    taskDefinition,
    ...(deployment !== undefined && { deployment }),
    undoing: { by, reason, since: parts.clock() },
  });
  return written !== undefined && (await askOnce(parts, written));
}

async function deploymentOf({ ecs }: RollingParts, record: RollingRecord): Promise<string | undefined> {
  const { deployment, taskDefinition, startedAt: since } = record;
  return deployment ?? (await findDeployment(ecs, record, { taskDefinition, since }));
}

/** What ECS refuses for good is told by `observeRollout`, which asks again. */
async function askOnce(parts: RollingParts, stored: Stored<RevertingRecord>): Promise<true> {
  if (stored.value.undoing.askedAt === undefined) await askForUndoing(parts, stored);
  return true;
}

async function ended(
  parts: RollingParts,
  stored: Stored<Known>,
  how: { readonly status: 'reverted' | 'revert_failed'; readonly reason: string },
): Promise<boolean> {
  // What ran before runs on: it is told as it stands.
  const isUnchanged = stored.value.phase !== 'ended' && how.status === 'reverted';
  const counts = isUnchanged
    ? countTasks(await look(parts, stored.value, undefined), undefined)
    : stored.value.phase === 'ended'
      ? stored.value.end.counts
      : noCounts;
  return (await endRollout(parts.records, stored, { ...how, counts })) !== undefined;
}
