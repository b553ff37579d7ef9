import type { RolloutCounts, RolloutObservation, TargetView } from '../../functions/ports/fleet.ts';
import type { Task } from './task.ts';
import type { TargetState } from './target-state.ts';

/** What is true of a rollout right now; undefined when the target does not know it. */
export function observe(state: TargetState, tasks: readonly Task[], id: string): RolloutObservation | undefined {
  const { active } = state;
  if (active?.setting.rolloutId === id) {
    const counts = countTasks(state, tasks, { revisionId: active.setting.revision.id, failed: active.failed });
    return marked({ status: active.phase === 'rolling' ? 'in_progress' : 'failed', reason: active.reason, counts });
  }
  const outcome = state.outcomes.find((outcome) => outcome.id === id);
  if (!outcome) return undefined;
  const live = !active && state.outcomes.at(-1) === outcome && outcome.revisionId !== '';
  const failed = outcome.counts.failed;
  const counts = live ? countTasks(state, tasks, { revisionId: outcome.revisionId, failed }) : outcome.counts;
  return marked({ status: outcome.status, reason: outcome.reason, counts });
}

/** The rollout whose observation can still change. */
export function liveRollout(state: TargetState): string | undefined {
  return state.active?.setting.rolloutId ?? state.outcomes.at(-1)?.id;
}

export function countTasks(
  state: TargetState,
  tasks: readonly Task[],
  rollout: { revisionId: string; failed: number },
): RolloutCounts {
  const count = (isNew: boolean, of: ReturnType<Task['state']>) =>
    tasks.filter((task) => (task.revision.id === rollout.revisionId) === isNew && task.state() === of).length;
  return {
    desired: desiredNow(state),
    newServing: count(true, 'serving'),
    newStarting: count(true, 'starting'),
    oldServing: count(false, 'serving'),
    draining: tasks.filter((task) => isLeaving(task)).length,
    failed: rollout.failed,
  };
}

/** How many tasks the target is to have: none where nothing is to run. */
export function desiredNow(state: TargetState): number {
  const wanted = state.active?.phase === 'rolling' ? state.active.setting : state.stable;
  return wanted ? state.desiredCount : 0;
}

export function viewOf(state: TargetState, tasks: readonly Task[]): TargetView {
  return {
    revision: state.stable?.revision,
    desiredCount: state.desiredCount,
    tasks: tasks.map((task) => task.view()),
    failures: state.failures,
    lastFailure: state.lastFailure,
  };
}

export function isLeaving(task: Task): boolean {
  return task.state() !== 'starting' && task.state() !== 'serving';
}

function marked(observation: Omit<RolloutObservation, 'marker'>): RolloutObservation {
  const { status, reason, counts } = observation;
  return { ...observation, marker: JSON.stringify([status, reason, ...Object.values(counts)]) };
}
