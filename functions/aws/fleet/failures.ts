import type { Task } from '@aws-sdk/client-ecs';
import type { EpochMs } from '../../runtime/units.ts';
import { taskId } from './task-state.ts';

/**
 * Tasks of a target that failed, counted on: ECS shows a stopped task for an hour or so, and the count must not fall
 * when it forgets. `seen`: those that are counted and may be shown again.
 */
export type FailureCount = {
  readonly count: number;
  readonly last: { readonly at: EpochMs; readonly reason: string };
  readonly seen: readonly string[];
};

/** The count with what is shown now; the same object when nothing is new. Pure. */
export function countFailures(before: FailureCount | undefined, stopped: readonly Task[]): FailureCount | undefined {
  const failed = stopped.filter(hasFailed);
  const seen = new Set(before?.seen);
  const fresh = failed.filter((task) => !seen.has(taskId(task)));
  if (fresh.length === 0) return before;
  const newest = fresh.reduce((last, task) => (stoppedAt(task) >= stoppedAt(last) ? task : last));
  const last = { at: stoppedAt(newest), reason: endOf(newest) };
  return {
    count: (before?.count ?? 0) + fresh.length,
    last: before && before.last.at > last.at ? before.last : last,
    seen: failed.map(taskId),
  };
}

/**
 * Whether a task ended without being told to: its container exited, it did not start, or the scheduler stopped it
 * for its health; ECS says so from when the task begins to stop. Told to: a scale, a rollout, a person; and nobody's
 * fault: a Spot interruption, a retired host.
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
 */
export function hasFailed(task: Task): boolean {
  if (task.stopCode === 'EssentialContainerExited' || task.stopCode === 'TaskFailedToStart') return true;
  return task.stopCode === 'ServiceSchedulerInitiated' && /health check/i.test(task.stoppedReason ?? '');
}

/** A deployment's record holds the reasons of up to 40 targets. */
const maxEndCharacters = 1000;

/** How a task ended, as a part of a sentence: `Essential container in task exited (web exited with code 7)`. Pure. */
export function endOf(task: Task): string {
  const containers = (task.containers ?? []).flatMap(({ name, exitCode, reason }) => [
    ...(exitCode ? [`${name} exited with code ${exitCode}`] : []),
    ...(reason ? [`${name}: ${reason}`] : []),
  ]);
  const why = task.stoppedReason?.replace(/\.$/, '') || 'it stopped';
  const end = containers.length > 0 ? `${why} (${containers.join(', ')})` : why;
  return end.slice(0, maxEndCharacters).toWellFormed();
}

function stoppedAt(task: Task): EpochMs {
  return (task.stoppedAt ?? task.stoppingAt ?? task.createdAt ?? new Date(0)).getTime();
}
