import type { RolloutPolicy } from '../../functions/apps/schema.ts';

/** A task as the plan sees it. `wanted`: it runs the revision the target is to run. `leaving` covers all ways of ending. */
export type PlanTask = {
  readonly id: string;
  readonly wanted: boolean;
  readonly state: 'starting' | 'serving' | 'leaving';
};

export type PlanInput = {
  readonly desired: number;
  /** So many tasks, of whatever revision, must serve as long as they can. */
  readonly min: number;
  /** No more tasks than these exist at a time; leaving ones count until they are gone. */
  readonly max: number;
  /** Capacity that the revision from before is to make up for while the wanted one cannot: 0 when there is none. */
  readonly keep: number;
  /** Oldest first. */
  readonly tasks: readonly PlanTask[];
  /** False while a crashed revision waits out its backoff. */
  readonly mayStart: boolean;
  readonly mayStartOld: boolean;
};

export type Plan = {
  readonly start: number;
  readonly startOld: number;
  /** Tasks that never served: nothing to drain. */
  readonly stop: readonly string[];
  readonly drain: readonly string[];
};

/**
 * How many tasks a policy asks for, rounded as ECS rounds: the minimum up, the maximum down. Where both leave no room to
 * move (which `stuckIssue` refuses at a rollout's start, but scaling later can bring about) one task more is allowed.
 */
export function limits(desired: number, policy: Percentages): { min: number; max: number } {
  const min = Math.ceil((desired * policy.minimumHealthyPercent) / 100);
  const max = Math.floor((desired * policy.maximumPercent) / 100);
  return { min, max: isStuck(desired, { min, max }) ? desired + 1 : max };
}

/** What is wrong with a policy by which no task could ever be replaced; undefined when nothing is. */
export function stuckIssue(desired: number, policy: Percentages): string | undefined {
  const min = Math.ceil((desired * policy.minimumHealthyPercent) / 100);
  const max = Math.floor((desired * policy.maximumPercent) / 100);
  if (!isStuck(desired, { min, max })) return undefined;
  return `percentages that let a task be replaced: with ${desired} wanted, at least ${min} must serve and at most ${max} may exist`;
}

/**
 * One step of a rolling update, as ECS's scheduler takes it: start what is missing as far as the maximum allows; drain
 * what is too much; and where the maximum stands in the way of a start, drain old tasks down to the minimum.
 * Called again after every change, it comes to rest when `desired` wanted tasks serve and no other is left.
 */
export function plan(input: PlanInput): Plan {
  const { desired, min, max, keep } = input;
  const ids = (wanted: boolean, state: PlanTask['state']) =>
    input.tasks.filter((task) => task.wanted === wanted && task.state === state).map((task) => task.id);
  const fresh = { starting: ids(true, 'starting'), serving: ids(true, 'serving') };
  const old = { starting: ids(false, 'starting'), serving: ids(false, 'serving') };
  const serving = fresh.serving.length + old.serving.length;
  const leaving = input.tasks.filter((task) => task.state === 'leaving').length;

  const stopFresh = newest(fresh.starting, fresh.starting.length - positive(desired - fresh.serving.length));
  const stopOld = newest(old.starting, old.starting.length - positive(keep - serving));

  const room = positive(max - input.tasks.length);
  const startOld = input.mayStartOld ? Math.min(room, positive(keep - serving - old.starting.length)) : 0;
  const missing = positive(desired - fresh.serving.length - fresh.starting.length);
  const start = input.mayStart ? Math.min(missing, room - startOld) : 0;

  const roomToCome = leaving + stopFresh.length + stopOld.length;
  const blocked = input.mayStart ? positive(missing - start - roomToCome) : 0;
  const drainOld = Math.max(positive(serving - desired), Math.min(blocked, positive(serving - min)));
  return {
    start,
    startOld,
    stop: [...stopFresh, ...stopOld],
    drain: [...old.serving.slice(0, drainOld), ...newest(fresh.serving, fresh.serving.length - desired)],
  };
}

type Percentages = Pick<RolloutPolicy, 'minimumHealthyPercent' | 'maximumPercent'>;

function isStuck(desired: number, { min, max }: { min: number; max: number }): boolean {
  return desired > 0 && min >= desired && max <= desired;
}
const positive = (count: number) => Math.max(0, count);
const newest = (ids: readonly string[], count: number) => (count > 0 ? ids.slice(-count) : []);
