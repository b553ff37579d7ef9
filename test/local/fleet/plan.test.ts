import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits, plan, stuckIssue, type PlanTask } from '../../../local/fleet/plan.ts';

const percents = (minimumHealthyPercent: number, maximumPercent: number) => ({ minimumHealthyPercent, maximumPercent });
const task = (id: string, more: Partial<PlanTask> = {}): PlanTask => ({ id, wanted: true, state: 'serving', ...more });
const old = (id: string, more: Partial<PlanTask> = {}) => task(id, { wanted: false, ...more });
const step = (desired: number, rule: ReturnType<typeof percents>, tasks: readonly PlanTask[]) =>
  plan({ desired, ...limits(desired, rule), keep: 0, tasks, mayStart: true, mayStartOld: true });
const nothing = { start: 0, startOld: 0, stop: [], drain: [] };

describe('plan', () => {
  it('starts a whole new set first where the maximum allows it', () => {
    expect(step(2, percents(100, 200), [old('a'), old('b')])).toEqual({ ...nothing, start: 2 });
  });

  it('drains an old task only when a new one serves in its place', () => {
    const starting = task('c', { state: 'starting' });
    expect(step(2, percents(100, 200), [old('a'), old('b'), starting])).toEqual({ ...nothing, start: 1 });
    expect(step(2, percents(100, 200), [old('a'), old('b'), task('c'), task('d', { state: 'starting' })])).toEqual({
      ...nothing,
      drain: ['a'],
    });
  });

  it('goes one by one where the maximum leaves room for one', () => {
    expect(step(2, percents(100, 150), [old('a'), old('b')])).toEqual({ ...nothing, start: 1 });
    expect(step(2, percents(100, 150), [old('a'), old('b'), task('c')])).toEqual({ ...nothing, drain: ['a'] });
    expect(step(2, percents(100, 150), [old('a', { state: 'leaving' }), old('b'), task('c')])).toEqual(nothing);
  });

  it('stops first where nothing may be added and the minimum allows it', () => {
    expect(step(1, percents(0, 100), [old('a')])).toEqual({ ...nothing, drain: ['a'] });
    expect(step(1, percents(0, 100), [old('a', { state: 'leaving' })])).toEqual(nothing);
    expect(step(1, percents(0, 100), [])).toEqual({ ...nothing, start: 1 });
    expect(step(4, percents(50, 100), [old('a'), old('b'), old('c'), old('d')])).toEqual({
      ...nothing,
      drain: ['a', 'b'],
    });
  });

  it('drains the newest when there are too many', () => {
    expect(step(1, percents(100, 200), [task('a'), task('b')])).toEqual({ ...nothing, drain: ['b'] });
    expect(step(1, percents(100, 200), [task('a'), task('b', { state: 'starting' })])).toEqual({
      ...nothing,
      stop: ['b'],
    });
  });

  it('makes up for a crashed old task while no new one serves', () => {
    const tasks = [old('a'), task('c', { state: 'starting' }), task('d', { state: 'starting' })];
    const input = { desired: 2, min: 2, max: 4, keep: 2, tasks, mayStart: true, mayStartOld: true };
    expect(plan(input)).toEqual({ ...nothing, startOld: 1 });
    expect(plan({ ...input, keep: 0 })).toEqual(nothing);
  });

  it('starts nothing while the revision waits out its backoff', () => {
    const input = {
      desired: 2,
      min: 0,
      max: 2,
      keep: 0,
      tasks: [old('a'), old('b')],
      mayStart: false,
      mayStartOld: false,
    };
    expect(plan(input)).toEqual(nothing);
  });

  it('says which settings leave no way to replace a task', () => {
    expect(stuckIssue(2, percents(100, 100))).toMatch(/at least 2 must serve and at most 2 may exist/);
    expect(stuckIssue(1, percents(50, 150))).toMatch(/at least 1/);
    expect(stuckIssue(2, percents(50, 100))).toBeUndefined();
    expect(stuckIssue(2, percents(100, 150))).toBeUndefined();
    expect(stuckIssue(0, percents(100, 100))).toBeUndefined();
  });
});

type World = { desired: number; rule: ReturnType<typeof percents>; tasks: PlanTask[]; next: number; keepOld: boolean };

/** Takes one planned step in a world where a leaving task is gone when the world says so. */
function act(world: World): { moved: boolean; servingBefore: number } {
  const bounds = limits(world.desired, world.rule);
  const servingBefore = world.tasks.filter((task) => task.state === 'serving').length;
  const keep = world.keepOld ? bounds.min : 0;
  const planned = plan({
    desired: world.desired,
    ...bounds,
    keep,
    tasks: world.tasks,
    mayStart: true,
    mayStartOld: true,
  });
  const leave = new Set([...planned.drain, ...planned.stop]);
  world.tasks = world.tasks.map((task) => (leave.has(task.id) ? { ...task, state: 'leaving' as const } : task));
  const add = (count: number, wanted: boolean) => {
    for (let index = 0; index < count; index++) {
      world.tasks.push({ id: `t${world.next++}`, wanted, state: 'starting' });
    }
  };
  add(planned.start, true);
  add(planned.startOld, false);
  return { moved: leave.size + planned.start + planned.startOld > 0, servingBefore };
}

const worlds = fc.record({
  desired: fc.integer({ min: 0, max: 8 }),
  rule: fc.record({
    minimumHealthyPercent: fc.integer({ min: 0, max: 100 }),
    maximumPercent: fc.integer({ min: 100, max: 400 }),
  }),
  tasks: fc
    .array(
      fc.record({
        wanted: fc.boolean(),
        state: fc.constantFrom('starting' as const, 'serving' as const, 'leaving' as const),
      }),
      { maxLength: 12 },
    )
    .map((tasks) => tasks.map((task, index) => ({ ...task, id: `s${index}` }))),
  keepOld: fc.boolean(),
});
/** What the world does between two steps. */
const event = fc.record({
  kind: fc.constantFrom('healthy', 'gone', 'crash', 'scale'),
  pick: fc.nat(20),
});

describe('plan, whatever happens', () => {
  it('never takes capacity below the minimum, and never adds above the maximum', () => {
    fc.assert(
      fc.property(worlds, fc.array(event, { maxLength: 40 }), (start, events) => {
        const world: World = { ...start, tasks: [...start.tasks], next: 0 };
        for (const { kind, pick } of events) {
          const before = world.tasks.length;
          const { servingBefore } = act(world);
          const { min, max } = limits(world.desired, world.rule);
          const serving = world.tasks.filter((task) => task.state === 'serving').length;
          expect(serving).toBeGreaterThanOrEqual(Math.min(servingBefore, min));
          expect(world.tasks.length).toBeLessThanOrEqual(Math.max(before, max));
          happen(world, kind, pick);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('comes to rest with just the wanted tasks when nothing fails any more', () => {
    fc.assert(
      fc.property(worlds, (start) => {
        const world: World = { ...start, tasks: [...start.tasks], next: 0 };
        for (let round = 0; round < 100; round++) {
          act(world);
          world.tasks = world.tasks
            .filter((task) => task.state !== 'leaving')
            .map((task) => ({ ...task, state: 'serving' as const }));
        }
        expect(world.tasks.map((task) => task.wanted)).toEqual(Array.from({ length: world.desired }, () => true));
        expect(act(world).moved).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});

function happen(world: World, kind: 'healthy' | 'gone' | 'crash' | 'scale', pick: number): void {
  if (kind === 'scale') {
    world.desired = pick % 9;
    return;
  }
  const from = { healthy: 'starting', gone: 'leaving', crash: 'serving' }[kind];
  const chosen = world.tasks.filter((task) => task.state === from)[pick % 12];
  if (!chosen) return;
  if (kind === 'healthy')
    world.tasks = world.tasks.map((task) => (task === chosen ? { ...task, state: 'serving' } : task));
  else world.tasks = world.tasks.filter((task) => task !== chosen);
}
