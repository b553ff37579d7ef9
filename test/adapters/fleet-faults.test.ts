import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Records } from '../../functions/ports/records.ts';
import { awsFleet, type AwsFleet } from '../support/aws-fleet.ts';
import { openTestRecords } from '../support/records.ts';
import { Killed, type Fault } from '../support/scripted-ecs.ts';

let cloud: AwsFleet;
beforeEach(async () => {
  cloud = await awsFleet();
});
afterEach(async () => await cloud.close());

const operations = [
  'DescribeServices',
  'DescribeTaskDefinition',
  'RegisterTaskDefinition',
  'UpdateService',
  'ListServiceDeployments',
  'DescribeServiceRevisions',
  'DescribeServiceDeployments',
  'ListTasks',
  'DescribeTasks',
  'DescribeTargetHealth',
];
const faults: readonly Fault[] = ['throttled', 'lost', 'silent'];

describe.each(operations)('%s', (operation) => {
  it.each(faults)('that is %s once changes nothing of how a rollout ends', async (fault) => {
    const rollout = cloud.newRollout({
      revision: { secrets: { KEY: { name: 'apps/web/secret/key', version: 'v1' } } },
    });
    cloud.aws.fault(operation, fault);
    await cloud.fleet.startRollout(cloud.ref, rollout);
    expect(await cloud.settle(rollout.id)).toMatchObject({ status: 'succeeded', counts: { newServing: 2 } });
    // The stack's own, and ours.
    expect(cloud.service.deployments).toHaveLength(2);
    expect((await cloud.fleet.view(cloud.ref)).revision).toEqual(rollout.revision);
    // The one call that cannot be repeated leaves an orphan when its answer is lost.
    const orphans = operation === 'RegisterTaskDefinition' && fault === 'lost' ? 1 : 0;
    expect(cloud.aws.world.definitions.size).toBe(2 + orphans);
  });
});

it.each(faults)('StopServiceDeployment that is %s once changes nothing of how a revert ends', async (fault) => {
  const stack = cloud.service.definition;
  const rollout = cloud.newRollout({ revision: { env: { BEHAVES: 'slow' } } });
  await cloud.fleet.startRollout(cloud.ref, rollout);
  cloud.aws.world.tick(2);
  cloud.aws.fault('StopServiceDeployment', fault);
  await cloud.fleet.revertRollout(cloud.ref, rollout.id, 'enough');
  expect(await cloud.settle(rollout.id)).toMatchObject({ status: 'reverted', reason: 'enough' });
  expect(cloud.service.definition).toBe(stack);
});

it('waits for a service deployment that lists do not show yet', async () => {
  const rollout = cloud.newRollout();
  await cloud.fleet.startRollout(cloud.ref, rollout);
  cloud.aws.script.lateLists = 3;
  for (let looks = 0; looks < 3; looks += 1) {
    expect(await cloud.fleet.observeRollout(cloud.ref, rollout.id)).toMatchObject({ status: 'in_progress' });
  }
  expect((await cloud.settle(rollout.id)).status).toBe('succeeded');
});

it('puts back by an update what it cannot find to stop', async () => {
  const stack = cloud.service.definition;
  const rollout = cloud.newRollout();
  await cloud.fleet.startRollout(cloud.ref, rollout);
  cloud.aws.script.lateLists = 1000;
  await cloud.fleet.revertRollout(cloud.ref, rollout.id, 'enough');
  expect(await cloud.settle(rollout.id)).toMatchObject({ status: 'reverted', reason: 'enough' });
  expect(cloud.service.definition).toBe(stack);
});

it('tells that ECS is busy when it answers nobody, and goes on afterwards', async () => {
  await cloud.close();
  cloud = await awsFleet({ maxAttempts: 1 });
  const rollout = cloud.newRollout();
  cloud.aws.fault('UpdateService', 'throttled');
  await expect(cloud.fleet.startRollout(cloud.ref, rollout)).rejects.toMatchObject({ name: 'Problem', kind: 'busy' });
  await cloud.fleet.startRollout(cloud.ref, rollout);
  expect((await cloud.settle(rollout.id)).status).toBe('succeeded');
  expect(cloud.aws.world.definitions.size).toBe(2);
});

/** Kills whoever calls after so many calls, of the records and of AWS alike. */
function killable(records: Records, calls: { left: number }): Records {
  const allow = () => {
    if (calls.left <= 0) throw new Killed('killed before a record');
    calls.left -= 1;
  };
  return {
    find: async (key) => (allow(), await records.find(key)),
    create: async (...args) => (allow(), await records.create(...args)),
    replace: async (...args) => (allow(), await records.replace(...args)),
    remove: async (stored) => (allow(), await records.remove(stored)),
    list: async (query) => (allow(), await records.list(query)),
    ready: async () => await records.ready(),
  };
}

type Story = { readonly name: string; readonly act: (cloud: AwsFleet) => Promise<void>; readonly isUndone: boolean };
const stories: readonly Story[] = [
  {
    name: 'a start',
    isUndone: false,
    act: async ({ fleet, ref, newRollout }) =>
      await fleet.startRollout(ref, newRollout({ id: 'r', revision: { id: 'rev-r' } })),
  },
  {
    name: 'a start and a revert',
    isUndone: true,
    act: async ({ fleet, ref, newRollout }) => {
      await fleet.startRollout(ref, newRollout({ id: 'r', revision: { id: 'rev-r' } }));
      await fleet.observeRollout(ref, 'r');
      await fleet.revertRollout(ref, 'r', 'undone');
      await fleet.observeRollout(ref, 'r');
    },
  },
];

describe.each(stories)('$name, killed', ({ act, isUndone }) => {
  /** Runs the story until it is killed, and again until it is through; answers whether it was killed at all. */
  async function tell(kill: (cloud: AwsFleet, calls: { left: number }) => void): Promise<boolean> {
    const stores = await openTestRecords();
    const calls = { left: Infinity };
    const its = await awsFleet({ records: killable(stores.records, calls) });
    const stack = its.service.definition;
    try {
      kill(its, calls);
      const killed = await act(its).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (killed && !(killed instanceof Killed)) throw killed;
      its.aws.script.killAfter = undefined;
      calls.left = Infinity;
      if (killed) await act(its);
      const end = await its.settle('r');
      expect(end.status).toBe(isUndone ? 'reverted' : 'succeeded');
      expect(end.counts).toMatchObject(isUndone ? { oldServing: 2, newServing: 0 } : { oldServing: 0, newServing: 2 });
      if (isUndone) expect(its.service.definition).toBe(stack);
      else expect((await its.fleet.view(its.ref)).revision?.id).toBe('rev-r');
      // The stack's own, one to the new revision, and at most one back: no update came twice.
      const to = its.service.deployments.map(({ definition }) => definition);
      expect(to.filter((definition) => definition !== stack)).toHaveLength(1);
      expect(to.filter((definition) => definition === stack).length).toBeLessThanOrEqual(2);
      expect(its.aws.world.definitions.size).toBe(2);
      return killed !== undefined;
    } finally {
      await stores.close();
    }
  }

  it.each([false, true])('at each call of AWS (done: %s), ends as if it had not been', async (isDone) => {
    let kills = 0;
    for (let at = 0; await tell((its) => void (its.aws.script.killAfter = { calls: at, isDone })); at += 1)
      kills = at + 1;
    expect(kills).toBeGreaterThanOrEqual(isUndone ? 12 : 5);
  });

  it('at each call of the records, ends as if it had not been', async () => {
    let kills = 0;
    for (let at = 0; await tell((_its, calls) => void (calls.left = at)); at += 1) kills = at + 1;
    expect(kills).toBeGreaterThanOrEqual(8);
  });
});
