import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { settleMs } from '../../functions/aws/fleet/logs.ts';
import { rolloutOfService } from '../../functions/aws/fleet/rollout-record.ts';
import { awsFleet, type AwsFleet } from '../support/aws-fleet.ts';

let cloud: AwsFleet;
beforeEach(async () => {
  cloud = await awsFleet();
});
afterEach(async () => await cloud.close());

const nothing = { revision: undefined, desiredCount: 0, tasks: [], failures: 0, lastFailure: undefined };
const serving = () => cloud.service.tasks.filter((task) => cloud.aws.world.serving(cloud.service, task));

describe('a view', () => {
  it('shows what the stack runs before anything is deployed, as nobody’s revision', async () => {
    const view = await cloud.fleet.view(cloud.ref);
    expect(view).toMatchObject({ revision: undefined, desiredCount: 2, failures: 0 });
    expect(view.tasks).toEqual(
      serving().map(({ id, startedAt }) => ({ id, revisionId: 'web-dev:1', state: 'serving', startedAt })),
    );
  });

  it('shows both revisions while one is rolled, and the old one as what runs', async () => {
    const first = await cloud.roll();
    const second = cloud.newRollout({ revision: { env: { BEHAVES: 'slow' } } });
    await cloud.fleet.startRollout(cloud.ref, second);
    cloud.aws.world.tick(4);
    const view = await cloud.fleet.view(cloud.ref);
    expect(view.revision).toEqual(first.rollout.revision);
    expect(view.tasks.map(({ revisionId, state }) => `${revisionId} ${state}`).sort()).toEqual([
      `${first.rollout.revision.id} serving`,
      `${first.rollout.revision.id} serving`,
      `${second.revision.id} starting`,
      `${second.revision.id} starting`,
    ]);
  });

  it('counts a task that fails, once, and on when ECS shows it no more', async () => {
    await cloud.roll();
    const crash = (code: number) => {
      const [task] = serving();
      if (!task) throw new Error('nothing serves');
      const reason = 'Essential container in task exited';
      cloud.aws.world.fail(cloud.service, task, { code: 'EssentialContainerExited', reason, exitCode: code });
      cloud.aws.world.tick(8);
    };
    crash(1);
    const once = {
      failures: 1,
      lastFailure: { reason: 'Essential container in task exited (web exited with code 1)' },
    };
    expect(await cloud.fleet.view(cloud.ref)).toMatchObject(once);
    expect(await cloud.fleet.view(cloud.ref)).toMatchObject(once);
    cloud.aws.world.wait(4_000_000);
    expect(await cloud.fleet.view(cloud.ref)).toMatchObject(once);
    crash(3);
    const { failures, lastFailure, tasks } = await cloud.fleet.view(cloud.ref);
    expect([failures, lastFailure?.reason]).toEqual([2, 'Essential container in task exited (web exited with code 3)']);
    expect(tasks.map(({ state }) => state)).toEqual(['serving', 'serving']);
  });

  it('shows nothing where there is no service, or one that is not ours', async () => {
    const { service: _, ...unnamed } = cloud.ref.target;
    expect(await cloud.fleet.view({ ...cloud.ref, target: unnamed })).toEqual(nothing);
    expect(await cloud.fleet.view({ ...cloud.ref, target: { ...cloud.ref.target, service: 'nobody' } })).toEqual(
      nothing,
    );
    cloud.service.tags = [];
    expect(await cloud.fleet.view(cloud.ref)).toEqual(nothing);
  });
});

describe('scaling', () => {
  it('sets the number and nothing else', async () => {
    await cloud.roll();
    const { definition } = cloud.service;
    await cloud.fleet.scale(cloud.ref, 4);
    cloud.aws.world.tick(8);
    expect(serving()).toHaveLength(4);
    await cloud.fleet.scale(cloud.ref, 1);
    cloud.aws.world.tick(8);
    expect(serving()).toHaveLength(1);
    expect(cloud.service.definition).toBe(definition);
    const { end } = await cloud.roll();
    expect(end.counts).toMatchObject({ desired: 1, newServing: 1 });
  });

  it('refuses a wrong number, and a service that is not ours', async () => {
    for (const wrong of [-1, 1.5, 1001, Number.NaN]) {
      await expect(cloud.fleet.scale(cloud.ref, wrong)).rejects.toMatchObject({ issues: [{ field: 'desiredCount' }] });
    }
    cloud.service.tags = [];
    await expect(cloud.fleet.scale(cloud.ref, 1)).rejects.toMatchObject({ issues: [{ field: 'targets.service' }] });
    expect(cloud.service.desired).toBe(2);
  });
});

describe('retiring', () => {
  it('drains everything, leaves the service to its stack and forgets the target', async () => {
    const { rollout } = await cloud.roll();
    await cloud.fleet.retire(cloud.ref);
    expect(cloud.service.tasks.every((task) => task.status === 'STOPPED')).toBe(true);
    expect(await cloud.fleet.view(cloud.ref)).toEqual(nothing);
    await expect(cloud.fleet.observeRollout(cloud.ref, rollout.id)).rejects.toMatchObject({ kind: 'not-found' });
    expect(await rolloutOfService(cloud.records, cloud.service.arn)).toBeUndefined();
    await cloud.fleet.retire(cloud.ref);
    expect(cloud.aws.world.services).toHaveLength(1);
  });

  it('is busy while tasks drain for longer than a call may take, and goes on when asked again', async () => {
    await cloud.roll();
    cloud.aws.world.settings.drainTicks = 4;
    await cloud.roll();
    await expect(cloud.fleet.retire(cloud.ref)).rejects.toMatchObject({ name: 'Problem', kind: 'busy' });
    cloud.aws.world.tick(8);
    await cloud.fleet.retire(cloud.ref);
    expect(await cloud.fleet.view(cloud.ref)).toEqual(nothing);
  });

  it('touches no service that is not ours, and is harmless where there is none', async () => {
    cloud.service.tags = [];
    await cloud.fleet.retire(cloud.ref);
    expect(cloud.service.desired).toBe(2);
    await cloud.fleet.retire({ ...cloud.ref, target: { ...cloud.ref.target, service: 'nobody' } });
  });
});

describe('logs', () => {
  const print = (text: string, at: number, task = 'aaa') =>
    void cloud.aws.logEvents.push({ stream: `web/web/${task}`, at, text });

  it('are read page by page, and each line once', async () => {
    const now = cloud.aws.world.now() - settleMs;
    for (const [text, at] of [
      ['a', 1],
      ['b', 2],
      ['c', 2],
      ['d', 2],
      ['e', 3],
    ] as const)
      print(text, now - 10 + at);
    cloud.aws.logEvents.push({ stream: 'web/sidecar/aaa', at: now - 5, text: 'of another container' });
    const first = await cloud.fleet.logs(cloud.ref, { limit: 3 });
    expect(first.lines.map(({ text }) => text)).toEqual(['a', 'b', 'c']);
    const rest = await cloud.fleet.logs(cloud.ref, { after: first.next, limit: 3 });
    expect(rest.lines).toEqual([
      { at: now - 8, phase: 'aaa', text: 'd' },
      { at: now - 7, phase: 'aaa', text: 'e' },
    ]);
    const last = await cloud.fleet.logs(cloud.ref, { after: rest.next });
    expect(last).toEqual({ lines: [], next: rest.next, done: false });
  });

  it('wait until no earlier line of another task can come', async () => {
    const now = cloud.aws.world.now();
    print('new', now, 'bbb');
    const before = await cloud.fleet.logs(cloud.ref);
    expect(before.lines).toEqual([]);
    print('late', now - 100);
    cloud.aws.world.wait(settleMs);
    const { lines } = await cloud.fleet.logs(cloud.ref, { after: before.next });
    expect(lines.map(({ text }) => text)).toEqual(['late', 'new']);
  });

  it('are done where nothing runs and nothing is left, and empty where nothing is ours', async () => {
    print('bye', cloud.aws.world.now() - settleMs);
    await cloud.fleet.scale(cloud.ref, 0);
    cloud.aws.world.tick(8);
    const page = await cloud.fleet.logs(cloud.ref);
    expect([page.lines.length, page.done]).toEqual([1, false]);
    expect((await cloud.fleet.logs(cloud.ref, { after: page.next })).done).toBe(true);
    cloud.service.tags = [];
    expect(await cloud.fleet.logs(cloud.ref)).toMatchObject({ lines: [], done: true });
    await expect(cloud.fleet.logs(cloud.ref, { after: 'nonsense' })).rejects.toMatchObject({ kind: 'invalid' });
  });
});

it('is ready when ECS answers', async () => {
  await cloud.fleet.ready();
  cloud.aws.script.beforeCall = () => {
    throw new Error('away');
  };
  await expect(cloud.fleet.ready()).rejects.toThrow('away');
});

describe('what it costs', () => {
  const callsOf = async (act: () => Promise<unknown>) => {
    cloud.aws.forgetCalls();
    await act();
    return cloud.aws.calls.length;
  };

  it('is a bounded number of calls for each thing', async () => {
    const rollout = cloud.newRollout();
    const observe = async () => await cloud.fleet.observeRollout(cloud.ref, rollout.id);
    expect(await callsOf(() => cloud.fleet.startRollout(cloud.ref, rollout))).toBe(6);
    cloud.aws.world.tick();
    expect(await callsOf(observe)).toBe(8);
    cloud.aws.world.tick();
    expect(await callsOf(observe)).toBe(6);
    await cloud.settle(rollout.id);
    expect(await callsOf(observe)).toBe(0);
    expect(await callsOf(() => cloud.fleet.view(cloud.ref))).toBe(5);
    expect(await callsOf(() => cloud.fleet.logs(cloud.ref))).toBe(3);
    expect(await callsOf(() => cloud.fleet.scale(cloud.ref, 3))).toBe(2);
    expect(await callsOf(() => cloud.fleet.revertRollout(cloud.ref, rollout.id, 'why'))).toBe(1);
  });

  it('grows with the number of targets and not faster', async () => {
    const cost = async (targets: number) => {
      const places = Array.from({ length: targets }, (_, at) => cloud.addTarget(`fleet-${targets}-${at}`));
      return await callsOf(async () => {
        for (const { ref } of places) {
          const rollout = cloud.newRollout({ id: `r.${ref.target.name}` });
          await cloud.fleet.startRollout(ref, rollout);
          await cloud.settle(rollout.id, ref);
        }
      });
    };
    const one = await cost(1);
    expect(await cost(10)).toBe(10 * one);
    expect(await cost(40)).toBe(40 * one);
    expect(one).toBeLessThanOrEqual(80);
  });
});
