import type { RolloutPolicy } from '../../functions/apps/schema.ts';
import type { Revision, RolloutCounts, RolloutStatus } from '../../functions/ports/fleet.ts';
import type { EpochMs } from '../../functions/runtime/units.ts';

/** What a rollout brings to a target: the revision, and what of the app's settings holds with it. */
export type Setting = {
  readonly rolloutId: string;
  readonly revision: Revision;
  readonly policy: RolloutPolicy;
  readonly listenPort?: number;
  readonly domains: readonly string[];
  /** `desiredCount` as the app says it; a scale by hand holds until this number is changed. */
  readonly appDesiredCount: number;
};

export type ActiveRollout = {
  readonly setting: Setting;
  readonly phase: 'rolling' | 'reverting';
  /** Why it is being reverted; empty while rolling. */
  readonly reason: string;
  /** New tasks that failed so far. */
  readonly failed: number;
  /** What was wanted before it, and what it made of that. */
  readonly desiredBefore: number;
  readonly desiredWith: number;
};

export type Outcome = {
  readonly id: string;
  readonly status: Extract<RolloutStatus, 'succeeded' | 'reverted' | 'revert_failed'>;
  readonly reason: string;
  readonly revisionId: string;
  /** As they were when the next rollout began; live until then. */
  readonly counts: RolloutCounts;
  /** What `revertRollout` puts back; left out where nothing ran before. */
  readonly before?: Setting;
  readonly desiredBefore: number;
  readonly desiredWith: number;
};

/** All that is kept of a target, whatever happens to the process. */
export type TargetState = {
  readonly app: string;
  readonly environment: string;
  readonly target: string;
  readonly desiredCount: number;
  /** What runs when nothing is rolled. */
  readonly stable?: Setting;
  readonly active?: ActiveRollout;
  /** Oldest first, the last 50 and the one that brought `stable`. */
  readonly outcomes: readonly Outcome[];
  readonly failures: number;
  readonly lastFailure?: { readonly at: EpochMs; readonly reason: string };
  /** It is being removed; a restart only cleans up after it. */
  readonly retired?: boolean;
};

const keptOutcomes = 50;

export function newTarget(name: { app: string; environment: string; target: string }): TargetState {
  return { ...name, desiredCount: 0, outcomes: [], failures: 0 };
}

/** The rollout a target knows by that id, active or ended. */
export function knowsRollout(state: TargetState, id: string): boolean {
  return state.active?.setting.rolloutId === id || state.outcomes.some((outcome) => outcome.id === id);
}

/** How many tasks are wanted with a setting: the app's number when it is new or was changed, else what is wanted now. */
export function desiredWith(state: TargetState, appDesiredCount: number): number {
  const before = (state.active?.setting ?? state.stable)?.appDesiredCount;
  return before === appDesiredCount ? state.desiredCount : appDesiredCount;
}

/** Begins a rollout; one that is active ends where it stands. `counts` are those of the rollout before. */
export function begin(state: TargetState, setting: Setting, counts: RolloutCounts): TargetState {
  const desired = desiredWith(state, setting.appDesiredCount);
  const reason = `${state.active?.reason ? `${state.active.reason}; then ` : ''}rollout ${setting.rolloutId} took over`;
  const settled = state.active ? end(state, { status: 'revert_failed', reason, counts }) : freeze(state, counts);
  const active: ActiveRollout = {
    setting,
    phase: 'rolling',
    reason: '',
    failed: 0,
    desiredBefore: state.active?.desiredBefore ?? state.desiredCount,
    desiredWith: desired,
  };
  return { ...settled, active, desiredCount: desired };
}

/** Turns the active rollout round: what ran before is wanted again. */
export function turnBack(state: TargetState, reason: string): TargetState {
  const { active } = state;
  if (!active || active.phase === 'reverting') return state;
  return { ...state, active: { ...active, phase: 'reverting', reason }, desiredCount: desiredAgain(state, active) };
}

/** The active rollout has come to an end. */
export function end(
  state: TargetState,
  result: { status: Outcome['status']; reason: string; counts: RolloutCounts },
): TargetState {
  const { active, ...rest } = state;
  if (!active) return state;
  const id = active.setting.rolloutId;
  const outcome: Outcome = {
    ...result,
    id,
    revisionId: active.setting.revision.id,
    ...(state.stable && { before: state.stable }),
    desiredBefore: active.desiredBefore,
    desiredWith: active.desiredWith,
  };
  const stable = result.status === 'succeeded' ? active.setting : state.stable;
  return { ...rest, ...(stable && { stable }), outcomes: record(state, outcome, stable) };
}

/**
 * A rollout is to be undone. The active one turns back; one that succeeded is undone as long as it is what runs; what
 * a later rollout has replaced cannot be put back by undoing an earlier one, and its status says so.
 */
export function undo(state: TargetState, id: string, reason: string): TargetState {
  if (state.active?.setting.rolloutId === id) return turnBack(state, reason);
  const outcome = state.outcomes.find((outcome) => outcome.id === id);
  if (!outcome) return neverStarted(state, id, reason);
  if (outcome.status !== 'succeeded') return state;
  const { stable, ...rest } = state;
  if (!stable || stable.rolloutId !== id || state.active) {
    const later = `${reason}; but a later rollout has taken its place`;
    return { ...state, outcomes: replaced(state, { ...outcome, status: 'revert_failed', reason: later }) };
  }
  const { desiredBefore, desiredWith } = outcome;
  const active: ActiveRollout = {
    setting: stable,
    phase: 'reverting',
    reason,
    failed: outcome.counts.failed,
    desiredBefore,
    desiredWith,
  };
  const before = outcome.before;
  return { ...rest, ...(before && { stable: before }), active, desiredCount: desiredAgain(state, active) };
}

/** A scale by hand in between stays. */
function desiredAgain(state: TargetState, active: ActiveRollout): number {
  return state.desiredCount === active.desiredWith ? active.desiredBefore : state.desiredCount;
}

function freeze(state: TargetState, counts: RolloutCounts): TargetState {
  const last = state.outcomes.at(-1);
  return last ? { ...state, outcomes: [...state.outcomes.slice(0, -1), { ...last, counts }] } : state;
}

function neverStarted(state: TargetState, id: string, reason: string): TargetState {
  const counts = { desired: 0, newServing: 0, newStarting: 0, oldServing: 0, draining: 0, failed: 0 };
  const desired = state.desiredCount;
  const outcome: Outcome = {
    id,
    status: 'reverted',
    reason,
    revisionId: '',
    counts,
    desiredBefore: desired,
    desiredWith: desired,
  };
  // Put before the last: that one's counts are live.
  const outcomes = [...state.outcomes.slice(0, -1), outcome, ...state.outcomes.slice(-1)];
  return { ...state, outcomes };
}

function replaced(state: TargetState, outcome: Outcome): readonly Outcome[] {
  return state.outcomes.map((other) => (other.id === outcome.id ? outcome : other));
}

function record(state: TargetState, outcome: Outcome, stable: Setting | undefined): readonly Outcome[] {
  const all = [...state.outcomes.filter((other) => other.id !== outcome.id), outcome];
  return all.filter((other, index) => index >= all.length - keptOutcomes || other.id === stable?.rolloutId);
}
