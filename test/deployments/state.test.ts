import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ForbiddenTransition,
  isEnd,
  next,
  statuses,
  type End,
  type Event,
  type State,
} from '../../functions/deployments/state.ts';

const endStatuses = ['succeeded', 'rolled_back', 'failed', 'cancelled', 'superseded'] as const;
const reason = fc.string({ minLength: 1, maxLength: 20 });
const end: fc.Arbitrary<End> = fc.record({ status: fc.constantFrom(...endStatuses), reason, endedAt: fc.nat() });
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.constant({ kind: 'build' } as const),
  fc.constant({ kind: 'roll' } as const),
  fc.record({ kind: fc.constant('verify' as const), until: fc.nat() }),
  fc.record({
    kind: fc.constant('undo' as const),
    cause: fc.constantFrom('failure' as const, 'cancel' as const),
    reason,
  }),
  fc.record({ kind: fc.constant('end' as const), end }),
);

/** The arrows of the picture in design.md. */
const arrows: Record<string, readonly string[]> = {
  queued: ['building', 'rolling', 'failed', 'cancelled', 'superseded'],
  building: ['rolling', 'failed', 'cancelled'],
  rolling: ['verifying', 'rolling_back'],
  verifying: ['succeeded', 'rolling_back'],
  rolling_back: ['rolled_back', 'failed', 'cancelled'],
};

function step(state: State, what: Event): State {
  try {
    return next(state, what);
  } catch (error) {
    if (error instanceof ForbiddenTransition) return state;
    throw error;
  }
}

describe('the state machine of a deployment', () => {
  it('takes the arrows of the picture and no others, whatever happens in whatever order', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        let state: State = { status: 'queued' };
        for (const what of events) {
          const after = step(state, what);
          if (after !== state) expect(arrows[state.status]).toContain(after.status);
          state = after;
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('never leaves an end state, and keeps its reason', () => {
    fc.assert(
      fc.property(end, fc.array(event, { minLength: 1 }), (ended, events) => {
        expect(events.reduce<State>((state, what) => next(state, what), ended)).toBe(ended);
      }),
    );
  });

  it('answers an event that is behind it with the very same state, so that a workflow may run again from its top', () => {
    const verifying: State = { status: 'verifying', until: 5 };
    expect(next(verifying, { kind: 'build' })).toBe(verifying);
    expect(next(verifying, { kind: 'roll' })).toBe(verifying);
    expect(next(verifying, { kind: 'verify', until: 9 })).toBe(verifying);
  });

  it('never calls a deployment succeeded that is being undone', () => {
    const undoing: State = { status: 'rolling_back', cause: 'failure', reason: 'unhealthy' };
    const succeed: Event = { kind: 'end', end: { status: 'succeeded', reason: 'all well', endedAt: 1 } };
    expect(() => next(undoing, succeed)).toThrow(ForbiddenTransition);
  });

  it('cannot undo what has changed nothing yet', () => {
    expect(() => next({ status: 'building' }, { kind: 'undo', cause: 'failure', reason: 'x' })).toThrow(
      ForbiddenTransition,
    );
  });

  it('can reach every state', () => {
    const reached = new Set<string>(['queued']);
    const walk = fc.sample(fc.array(event, { minLength: 1, maxLength: 8 }), { numRuns: 3000, seed: 7 });
    for (const events of walk) {
      let state: State = { status: 'queued' };
      for (const what of events) {
        state = step(state, what);
        reached.add(state.status);
      }
      if (isEnd(state)) expect(state.reason).not.toBe('');
    }
    expect([...reached].sort()).toEqual([...statuses].sort());
  });
});
