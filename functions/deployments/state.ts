import type { EpochMs } from '../runtime/units.ts';

/**
 * Where a deployment stands. Each state carries just what only it knows; what all share is in `Deployment`.
 *
 *     queued → building → rolling → verifying → succeeded
 *        │         │          └──────────┴──▶ rolling_back → rolled_back | cancelled | failed
 *        └─────────┴──▶ failed | cancelled        queued ──▶ superseded
 */
export type State =
  | { readonly status: 'queued' }
  | { readonly status: 'building' }
  | { readonly status: 'rolling' }
  | { readonly status: 'verifying'; readonly until: EpochMs }
  | { readonly status: 'rolling_back'; readonly cause: 'failure' | 'cancel'; readonly reason: string }
  | End;

/** Every end has a reason. `rolled_back` is a failure that was undone; `failed` changed nothing, or could not be undone. */
export type End =
  | { readonly status: 'succeeded'; readonly reason: string; readonly endedAt: EpochMs }
  | { readonly status: 'rolled_back'; readonly reason: string; readonly endedAt: EpochMs }
  | { readonly status: 'failed'; readonly reason: string; readonly endedAt: EpochMs }
  | { readonly status: 'cancelled'; readonly reason: string; readonly endedAt: EpochMs }
  | { readonly status: 'superseded'; readonly reason: string; readonly endedAt: EpochMs };

export type Status = State['status'];
export type EndStatus = End['status'];

export const statuses = [
  'queued',
  'building',
  'rolling',
  'verifying',
  'rolling_back',
  'succeeded',
  'rolled_back',
  'failed',
  'cancelled',
  'superseded',
] as const satisfies readonly Status[];

export type Event =
  | { readonly kind: 'build' }
  | { readonly kind: 'roll' }
  | { readonly kind: 'verify'; readonly until: EpochMs }
  | { readonly kind: 'undo'; readonly cause: 'failure' | 'cancel'; readonly reason: string }
  | { readonly kind: 'end'; readonly end: End };

/** A transition that the way of a deployment does not know; a defect of ours, never a caller's. */
export class ForbiddenTransition extends Error {
  override readonly name = 'ForbiddenTransition';
}

export function isEnd(state: State): state is End {
  return 'endedAt' in state;
}

/**
 * The one owner of every transition: the state after an event.
 * The workflow may run again from its top at any moment, so an event whose work is behind us answers with the state
 * as it is (the very same object); an end state answers every event so. Throws `ForbiddenTransition` for the rest.
 */
export function next(state: State, event: Event): State {
  if (isEnd(state)) return state;
  switch (event.kind) {
    case 'build':
      return state.status === 'queued' ? { status: 'building' } : state;
    case 'roll':
      return state.status === 'queued' || state.status === 'building' ? { status: 'rolling' } : state;
    case 'verify':
      if (state.status === 'rolling') return { status: 'verifying', until: event.until };
      return passed(state, event, ['verifying', 'rolling_back']);
    case 'undo':
      if (state.status === 'rolling' || state.status === 'verifying') {
        return { status: 'rolling_back', cause: event.cause, reason: event.reason };
      }
      return passed(state, event, ['rolling_back']);
    case 'end':
      return ended(state, event.end);
  }
}

function ended(state: Exclude<State, End>, end: End): End {
  const allowed: Record<Exclude<Status, EndStatus>, readonly EndStatus[]> = {
    queued: ['failed', 'cancelled', 'superseded'],
    building: ['failed', 'cancelled'],
    rolling: [],
    verifying: ['succeeded'],
    rolling_back: ['rolled_back', 'failed', 'cancelled'],
  };
  if (allowed[state.status].includes(end.status)) return end;
  throw new ForbiddenTransition(`A deployment that is ${state.status} cannot become ${end.status}.`);
}

function passed(state: Exclude<State, End>, event: Event, later: readonly Status[]): State {
  if (later.includes(state.status)) return state;
  throw new ForbiddenTransition(`A deployment that is ${state.status} cannot go on with "${event.kind}".`);
}
