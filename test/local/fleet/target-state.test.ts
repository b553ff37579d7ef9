import { describe, expect, it } from 'vitest';
import type { Artifact } from '../../../functions/artifacts/artifact.ts';
import { breaker, failureCount } from '../../../local/fleet/failures.ts';
import {
  begin,
  end,
  newTarget,
  turnBack,
  undo,
  type Setting,
  type TargetState,
} from '../../../local/fleet/target-state.ts';
import { policy, revisionOf } from '../../support/fleet.ts';

const counts = { desired: 0, newServing: 0, newStarting: 0, oldServing: 0, draining: 0, failed: 0 };
const setting = (rolloutId: string, appDesiredCount = 2): Setting => {
  const revision = revisionOf({ kind: 'image' } as Artifact, { id: `revision of ${rolloutId}` });
  return { rolloutId, revision, policy, domains: [], appDesiredCount };
};
const succeed = (state: TargetState, rolloutId: string, count?: number) =>
  end(begin(state, setting(rolloutId, count), counts), { status: 'succeeded', reason: '', counts });
const fresh = newTarget({ app: 'web', environment: 'dev', target: 'site' });
const statusOf = (state: TargetState, id: string) => state.outcomes.find((outcome) => outcome.id === id)?.status;
const reverted = (state: TargetState) => end(state, { status: 'reverted', reason: state.active?.reason ?? '', counts });

describe('target state', () => {
  it('goes back step by step as rollouts that succeeded are undone', () => {
    const third = succeed(succeed(succeed(fresh, 'a'), 'b'), 'c');
    const second = reverted(undo(third, 'c', 'x'));
    expect([second.stable?.rolloutId, statusOf(second, 'c')]).toEqual(['b', 'reverted']);
    const first = reverted(undo(second, 'b', 'x'));
    expect(first.stable?.rolloutId).toBe('a');
    expect(reverted(undo(first, 'a', 'x')).stable).toBeUndefined();
  });

  it('says that what a later rollout replaced cannot be put back', () => {
    const state = undo(succeed(succeed(fresh, 'a'), 'b'), 'a', 'too late');
    expect(state.stable?.rolloutId).toBe('b');
    expect(statusOf(state, 'a')).toBe('revert_failed');
  });

  it('gives back the number of tasks with the revision, but keeps a scale by hand', () => {
    const state = succeed(succeed(fresh, 'a', 2), 'b', 5);
    expect(state.desiredCount).toBe(5);
    expect(undo(state, 'b', 'x').desiredCount).toBe(2);
    expect(undo({ ...state, desiredCount: 7 }, 'b', 'x').desiredCount).toBe(7);
    expect(turnBack(begin(state, setting('c', 1), counts), 'x').desiredCount).toBe(5);
  });

  it('undoes to what was stable, whatever took over in between', () => {
    const state = begin(begin(succeed(fresh, 'a', 2), setting('b', 4), counts), setting('c', 6), counts);
    expect(statusOf(state, 'b')).toBe('revert_failed');
    const back = turnBack(state, 'x');
    expect([back.stable?.rolloutId, back.desiredCount]).toEqual(['a', 2]);
  });

  it('keeps the last 50 outcomes, and the one that brought what runs', () => {
    let state = succeed(fresh, 'good');
    for (let index = 0; index < 80; index++)
      state = reverted(turnBack(begin(state, setting(`bad ${index}`), counts), 'x'));
    expect(state.outcomes).toHaveLength(51);
    expect(statusOf(undo(state, 'good', 'x'), 'good')).toBe('succeeded');
    expect(undo(state, 'good', 'x').active?.phase).toBe('reverting');
  });
});

describe('failure counts', () => {
  it('let the first replacement start at once and later ones after pauses that double', () => {
    const count = failureCount({ firstMs: 100, maxMs: 350, steadyMs: 1000 });
    const pauses = Array.from({ length: 5 }, () => {
      count.failed(10_000, undefined);
      return Math.max(0, count.startsAt() - 10_000);
    });
    expect(pauses).toEqual([0, 100, 200, 350, 350]);
    count.failed(20_000, 5000);
    expect(count.startsAt()).toBeLessThan(20_000);
  });

  it('open the breaker for failures in a row only, and count tasks that die after they were healthy', () => {
    const row = breaker();
    expect([row.failed('a'), row.failed('b')]).toEqual([1, 2]);
    row.healthy('c');
    expect(row.failed('d')).toBe(1);
    const flapping = breaker();
    const inARow = ['a', 'b', 'c'].map((id) => {
      flapping.healthy(id);
      return flapping.failed(id);
    });
    expect(inARow).toEqual([1, 2, 3]);
  });
});
