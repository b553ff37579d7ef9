import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyLane, enterLane, leaveLane, type Lane, type LaneEntry } from '../../functions/deployments/lane.ts';

const entry = (holder: string, at: number, supersedes = true): LaneEntry => ({ holder, at, supersedes });
const enter = (lane: Lane, who: LaneEntry): Lane => {
  const entered = enterLane(lane, who);
  return 'lane' in entered ? entered.lane : lane;
};

describe('a lane', () => {
  it('never holds two, loses nobody and serves in order, whoever comes and goes', () => {
    const action = fc.oneof(
      fc.record({ kind: fc.constant('enter' as const), holder: fc.nat({ max: 15 }), supersedes: fc.boolean() }),
      fc.record({ kind: fc.constant('leave' as const), holder: fc.nat({ max: 15 }) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        let lane = emptyLane;
        let inside: string[] = [];
        for (const what of actions) {
          const holder = `d${what.holder}`;
          if (what.kind === 'enter') {
            const entered = enterLane(lane, entry(holder, what.holder, what.supersedes));
            if (!('lane' in entered)) continue;
            lane = entered.lane;
            const gone = entered.superseded.map((old) => old.holder);
            if (!inside.includes(holder)) inside = [...inside.filter((one) => !gone.includes(one)), holder];
          } else {
            const left = leaveLane(lane, holder);
            const wasActive = lane.active?.holder === holder;
            inside = inside.filter((one) => one !== holder);
            expect(left.granted?.holder).toBe(wasActive ? inside[0] : undefined);
            lane = left.lane;
          }
          const holders = [...(lane.active ? [lane.active] : []), ...lane.queue].map((one) => one.holder);
          expect(holders).toEqual(inside);
          expect(new Set(holders).size).toBe(holders.length);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('lets a newer one take the place of the older ones that wait, and never of the active one', () => {
    const lane = [entry('a', 1), entry('b', 2), entry('c', 3)].reduce(enter, emptyLane);
    expect(lane.active?.holder).toBe('a');
    expect(lane.queue.map(({ holder }) => holder)).toEqual(['c']);
  });

  it('keeps everybody in order where nothing supersedes', () => {
    const lane = [entry('a', 1, false), entry('b', 2, false), entry('c', 3, false)].reduce(enter, emptyLane);
    expect(lane.queue.map(({ holder }) => holder)).toEqual(['b', 'c']);
  });

  it('refuses one that comes after a newer one, also after that has left', () => {
    const lane = leaveLane(enter(emptyLane, entry('new', 5)), 'new').lane;
    expect(enterLane(lane, entry('old', 4))).toEqual({ outcome: 'late', by: 'new' });
  });

  it('knows a push that came under another delivery, and an older push that comes late', () => {
    const first = enterLane(emptyLane, entry('a', 1), { commit: 'c1', pushedAtSeconds: 100 });
    const lane = 'lane' in first ? first.lane : emptyLane;
    expect(enterLane(lane, entry('b', 2), { commit: 'c1', pushedAtSeconds: 100 })).toEqual({
      outcome: 'duplicate',
      by: 'a',
    });
    expect(enterLane(lane, entry('c', 3), { commit: 'c0', pushedAtSeconds: 99 })).toEqual({ outcome: 'late', by: 'a' });
  });

  it('takes a branch that came back to an earlier commit for a new push', () => {
    const pushes = [
      { holder: 'a', commit: 'c1' },
      { holder: 'b', commit: 'c2' },
      { holder: 'c', commit: 'c1' },
    ];
    let lane = emptyLane;
    for (const [at, { holder, commit }] of pushes.entries()) {
      const entered = enterLane(lane, entry(holder, at), { commit, pushedAtSeconds: at });
      expect(entered.outcome).not.toBe('duplicate');
      lane = 'lane' in entered ? entered.lane : lane;
    }
    expect(lane.lastPush?.holder).toBe('c');
  });
});
