import { failureCount, type Backoff, type FailureCount } from './failures.ts';
import { isLeaving } from './observe.ts';
import type { Plan, PlanTask } from './plan.ts';
import type { Pool } from './pool.ts';
import type { RunningTask } from './runner.ts';
import { startTask, type Task, type TaskEvents } from './task.ts';
import type { Setting } from './target-state.ts';

export type Launch = { readonly taskId: string; readonly number: number; readonly setting: Setting };

export type CrewOptions = {
  readonly pool: Pool;
  readonly launch: (order: Launch) => Promise<RunningTask>;
  readonly clock: () => number;
  readonly newId: () => string;
  readonly backoff: Backoff;
  /** By the rules of now: how long a task may finish what it has. */
  readonly drainSeconds: () => number;
  readonly onServing: TaskEvents['onServing'];
  readonly onFailed: TaskEvents['onFailed'];
  readonly onChange: () => void;
};

/** The tasks of a target, and the pauses before those that crashed are started again. */
export type Crew = {
  list(): readonly Task[];
  servingOf(setting: Setting | undefined): number;
  planTasks(wanted: Setting | undefined): PlanTask[];
  carryOut(plan: Plan, settings: { wanted: Setting | undefined; old: Setting | undefined }): void;
  mayStart(setting: Setting | undefined): boolean;
  /** When, on `performance.now()`'s clock, its next task may start. */
  startsAt(setting: Setting | undefined): number;
  /** Drains all tasks and resolves when none is left. */
  leave(): Promise<void>;
};

export function crew(options: CrewOptions): Crew {
  const tasks = new Map<string, Task>();
  const crashes = new Map<string, FailureCount>();
  const whenGone: (() => void)[] = [];
  let number = 0;

  const crashesOf = (revisionId: string) => {
    const known = crashes.get(revisionId) ?? failureCount(options.backoff);
    crashes.set(revisionId, known);
    return known;
  };
  const startsAt = (setting: Setting | undefined) => (setting ? crashesOf(setting.revision.id).startsAt() : 0);
  const events: TaskEvents = {
    onServing: options.onServing,
    onFailed: (task, failure) => {
      const now = performance.now();
      const since = task.servingSince();
      crashesOf(task.revision.id).failed(now, since === undefined ? undefined : now - since);
      options.onFailed(task, failure);
    },
    onGone: (task) => {
      tasks.delete(task.id);
      if (tasks.size === 0) for (const resolve of whenGone.splice(0)) resolve();
      options.onChange();
    },
    onChange: options.onChange,
  };
  const start = (count: number, setting: Setting | undefined) => {
    if (!setting) return;
    for (let left = count; left > 0; left--) {
      const id = options.newId();
      const order = { taskId: id, number: ++number, setting };
      const launch = () => options.launch(order);
      const { pool, drainSeconds } = options;
      const startedAt = options.clock();
      tasks.set(id, startTask({ id, revision: setting.revision, startedAt, launch, pool, drainSeconds, events }));
    }
  };
  return {
    list: () => [...tasks.values()],
    servingOf: (setting) =>
      [...tasks.values()].filter((task) => runs(task, setting) && task.state() === 'serving').length,
    planTasks: (wanted) =>
      [...tasks.values()].map((task) => ({ id: task.id, wanted: runs(task, wanted), state: planState(task) })),
    carryOut: (plan, { wanted, old }) => {
      for (const id of plan.stop) tasks.get(id)?.stop();
      for (const id of plan.drain) tasks.get(id)?.drain(options.drainSeconds());
      start(plan.start, wanted);
      start(plan.startOld, old);
    },
    mayStart: (setting) => {
      const examined = [...tasks.values()].some((task) => runs(task, setting) && task.isExamined());
      return setting !== undefined && !examined && startsAt(setting) <= performance.now();
    },
    startsAt,
    leave: async () => {
      for (const task of tasks.values()) {
        if (task.state() === 'starting') task.stop();
        else task.drain(options.drainSeconds());
      }
      if (tasks.size > 0) await new Promise<void>((resolve) => whenGone.push(resolve));
    },
  };
}

const runs = (task: Task, setting: Setting | undefined) => task.revision.id === setting?.revision.id;

function planState(task: Task): PlanTask['state'] {
  if (isLeaving(task)) return 'leaving';
  return task.state() === 'serving' ? 'serving' : 'starting';
}
