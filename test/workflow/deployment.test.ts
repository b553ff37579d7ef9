import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cancelDeployment } from '../../functions/deployments/cancel.ts';
import { deploymentLane, readLane } from '../../functions/deployments/lane-store.ts';
import { deployPush } from '../../functions/deployments/push.ts';
import { listDeployments } from '../../functions/deployments/read.ts';
import { reconcile } from '../../functions/deployments/reconcile.ts';
import { requestDeployment } from '../../functions/deployments/request.ts';
import { rollbackEnvironment } from '../../functions/deployments/rollback.ts';
import { scriptedCloud, statusesOf, twoTargets } from '../support/scripted-cloud.ts';

let cloud: Awaited<ReturnType<typeof scriptedCloud>>;
beforeEach(async () => {
  cloud = await scriptedCloud();
  await cloud.apply('web', twoTargets);
});
afterEach(async () => await cloud.close());

const commitOf = (digit: string) => digit.repeat(40);
const deploy = async (commit: string) =>
  await requestDeployment(cloud.ports, {
    app: 'web',
    environment: 'dev',
    request: { kind: 'source', ref: 'main', commit },
    trigger: { kind: 'api', actor: 'ann' },
  });
const push = async (deliveryId: string, commit: string, pushedAtSeconds?: number) => {
  const record = await cloud.apply('web', twoTargets);
  const [environment] = record.app.environments;
  if (!environment) throw new Error('no environment');
  const at = pushedAtSeconds === undefined ? {} : { pushedAtSeconds };
  return await deployPush(cloud.ports, {
    record,
    environment,
    push: { ref: 'refs/heads/main', commit, deliveryId, pusher: 'bob', ...at },
  });
};
const holders = async () => {
  const { active, queue } = await lane();
  return [...(active ? [active] : []), ...queue].map(({ holder }) => holder);
};
const lane = async () => await readLane(cloud.ports.records, deploymentLane('web', 'dev'));

describe('a deployment', () => {
  it('goes from its queue to its end, wave after wave, and frees its lane', async () => {
    const { id } = await deploy(commitOf('a'));
    const done = await cloud.settled(id);
    expect(done.state).toMatchObject({ status: 'succeeded' });
    expect(statusesOf(done)).toEqual(['queued', 'building', 'rolling', 'verifying', 'succeeded']);
    expect(cloud.fleet.calls.map((call) => call.split(' ').slice(0, 2).join(' '))).toEqual(['start one', 'start two']);
    expect(await holders()).toEqual([]);
    expect(cloud.ended).toEqual(['succeeded']);
  });

  it('does not build again what fits already', async () => {
    await cloud.settled((await deploy(commitOf('a'))).id);
    const again = await cloud.settled((await deploy(commitOf('a'))).id);
    expect(cloud.builder.started).toHaveLength(1);
    expect(statusesOf(again)).toEqual(['queued', 'rolling', 'verifying', 'succeeded']);
  });

  it('whose build fails has changed nothing and says why', async () => {
    cloud.script.build = () => 'failed';
    const done = await cloud.settled((await deploy(commitOf('a'))).id);
    expect(done.state).toMatchObject({
      status: 'failed',
      reason: 'The command exited with 1; nothing that runs was changed',
    });
    expect(cloud.fleet.calls).toEqual([]);
    expect((await readLane(cloud.ports.records, 'build/web')).active).toBeUndefined();
  });

  it('whose build lost its machine is built again, as another build', async () => {
    cloud.script.build = ({ spec }) => (spec.buildId.endsWith('-3') ? 'succeeded' : 'interrupted');
    const { id } = await deploy(commitOf('a'));
    expect((await cloud.settled(id)).state.status).toBe('succeeded');
    expect(cloud.builder.started).toEqual([id, `${id}-2`, `${id}-3`]);
  });

  it('whose build loses every machine fails in the end', async () => {
    cloud.script.build = () => 'interrupted';
    expect((await cloud.settled((await deploy(commitOf('a'))).id)).state.status).toBe('failed');
  });

  it('that fails in its second wave undoes the first one too, and is rolled back, not succeeded', async () => {
    await cloud.settled((await deploy(commitOf('a'))).id);
    cloud.script.fleet = ({ target }) =>
      target.name === 'two' ? { ends: 'failed', reason: 'task exited with code 1' } : { ends: 'succeeded' };
    const done = await cloud.settled((await deploy(commitOf('b'))).id);
    expect(done.state).toMatchObject({ status: 'rolled_back', reason: 'two: task exited with code 1' });
    expect(done.targets.map(({ status }) => status)).toEqual(['reverted', 'reverted']);
    expect(cloud.fleet.calls.slice(-2)).toEqual(['revert two', 'revert one']);
    expect((await listDeployments(cloud.ports.records, { status: 'succeeded' })).items).toHaveLength(1);
  });

  it('that fails in its first wave begins no other', async () => {
    cloud.script.fleet = () => ({ ends: 'failed', reason: 'task exited with code 1' });
    const done = await cloud.settled((await deploy(commitOf('a'))).id);
    expect(done.state).toMatchObject({ status: 'rolled_back', reason: 'one: task exited with code 1' });
    expect(cloud.fleet.calls.filter((call) => call.startsWith('start'))).toEqual([expect.stringMatching(/^start one/)]);
    expect(done.timeline.filter(({ target }) => target === 'two')).toEqual([]);
  });

  it('that a task fails in its bake time is rolled back', async () => {
    await cloud.apply('web', {
      ...twoTargets,
      environments: [{ ...twoTargets.environments[0]!, rollout: { bakeSeconds: 30 } }],
    });
    const { id } = await deploy(commitOf('a'));
    await cloud.reached(id, 'verifying');
    cloud.fleet.failTasks();
    expect((await cloud.settled(id)).state).toMatchObject({
      status: 'rolled_back',
      reason: expect.stringContaining('while it was watched') as string,
    });
  });

  it('that names a secret without a value fails before anything is changed, and names it', async () => {
    await cloud.apply('web', { ...twoTargets, runtime: { command: ['x'], secrets: { DB: 'database-url' } } });
    const done = await cloud.settled((await deploy(commitOf('a'))).id);
    expect(done.state).toMatchObject({ status: 'failed', reason: expect.stringContaining('database-url') as string });
    expect(cloud.fleet.calls).toEqual([]);
  });

  it('that a step cannot reach its fleet for a while goes on when it can', async () => {
    let failures = 2;
    cloud.script.beforeStep = (step) => {
      if (step === 'observe' && failures > 0) {
        failures -= 1;
        throw new Error('connection reset');
      }
    };
    expect((await cloud.settled((await deploy(commitOf('a'))).id)).state.status).toBe('succeeded');
  });
});

describe('a lane of deployments', () => {
  it('holds one active deployment, and the newest of those that wait', async () => {
    cloud.script.fleet = () => ({ ends: 'never' });
    const first = await deploy(commitOf('a'));
    await cloud.reached(first.id, 'rolling');
    const second = await deploy(commitOf('b'));
    const third = await deploy(commitOf('c'));
    expect((await cloud.settled(second.id)).state).toMatchObject({
      status: 'superseded',
      reason: expect.stringContaining(third.id) as string,
    });
    expect(await lane()).toMatchObject({ active: { holder: first.id }, queue: [{ holder: third.id }] });
    cloud.script.fleet = () => ({ ends: 'succeeded' });
    await cancelDeployment(cloud.ports, { id: first.id, actor: 'ann' });
    expect((await cloud.settled(first.id)).state.status).toBe('cancelled');
    expect((await cloud.settled(third.id)).state.status).toBe('succeeded');
  });

  it('builds one at a time for an app, whatever the number of its environments', async () => {
    const environments = ['dev', 'beta', 'stable'].map((name) => ({ name, targets: [{ name: 'web' }] }));
    await cloud.apply('web', { ...twoTargets, environments });
    const made = await Promise.all(
      environments.map(
        async ({ name }, at) =>
          await requestDeployment(cloud.ports, {
            app: 'web',
            environment: name,
            request: { kind: 'source', ref: 'main', commit: commitOf(String(at)) },
            trigger: { kind: 'api', actor: 'ann' },
          }),
      ),
    );
    const ends = await Promise.all(made.map(async ({ id }) => (await cloud.settled(id)).state.status));
    expect(ends).toEqual(['succeeded', 'succeeded', 'succeeded']);
    expect(cloud.builder.mostAtOnce()).toBe(1);
  });
});

describe('a push', () => {
  it('delivered 50 times at once makes one deployment', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, async () => await push('d1', commitOf('a'), 10)));
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
    expect(answers.filter(({ isNew }) => isNew)).toHaveLength(1);
    expect((await listDeployments(cloud.ports.records, {})).items).toHaveLength(1);
  });

  it('delivered at once under 20 delivery ids makes one deployment', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, at) => await push(`d${at}`, commitOf('a'), 10)),
    );
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
    await cloud.settled(answers[0]!.id);
    expect((await listDeployments(cloud.ports.records, {})).items).toHaveLength(1);
  });

  it('that comes late, after a newer one, starts nothing', async () => {
    const newer = await push('d2', commitOf('b'), 20);
    expect(await push('d1', commitOf('a'), 10)).toEqual({ id: newer.id, isNew: false });
  });

  it('back to an earlier commit is deployed again', async () => {
    const [a, b, c] = [
      await push('1', commitOf('a'), 1),
      await push('2', commitOf('b'), 2),
      await push('3', commitOf('a'), 3),
    ];
    expect(new Set([a?.id, b?.id, c?.id]).size).toBe(3);
  });
});

describe('a cancellation', () => {
  it('while it builds stops the build and changes nothing', async () => {
    cloud.script.build = () => 'never';
    const { id } = await deploy(commitOf('a'));
    await cloud.reached(id, 'building');
    await cancelDeployment(cloud.ports, { id, actor: 'ann' });
    expect((await cloud.settled(id)).state).toMatchObject({
      status: 'cancelled',
      reason: expect.stringContaining('ann') as string,
    });
    expect(cloud.fleet.calls).toEqual([]);
    expect((await readLane(cloud.ports.records, 'build/web')).active).toBeUndefined();
  });

  it('while it waits for its turn to build leaves the queue', async () => {
    cloud.script.build = () => 'never';
    const environments = ['dev', 'beta'].map((name) => ({ name, targets: [{ name: 'web' }] }));
    await cloud.apply('web', { ...twoTargets, environments });
    const ask = async (environment: string, digit: string) =>
      await requestDeployment(cloud.ports, {
        app: 'web',
        environment,
        request: { kind: 'source', ref: 'main', commit: commitOf(digit) },
        trigger: { kind: 'api', actor: 'ann' },
      });
    const first = await ask('dev', 'a');
    await cloud.reached(first.id, 'building');
    const second = await ask('beta', 'b');
    await cloud.reached(second.id, 'building');
    await cancelDeployment(cloud.ports, { id: second.id, actor: 'ann' });
    expect((await cloud.settled(second.id)).state.status).toBe('cancelled');
    await cancelDeployment(cloud.ports, { id: first.id, actor: 'ann' });
    expect((await cloud.settled(first.id)).state.status).toBe('cancelled');
    expect(cloud.builder.started).toEqual([first.id]);
  });

  it('while it rolls undoes what was changed', async () => {
    await cloud.settled((await deploy(commitOf('a'))).id);
    cloud.script.fleet = ({ target }) => ({ ends: target.name === 'two' ? 'never' : 'succeeded' });
    const { id } = await deploy(commitOf('b'));
    await cloud.reached(id, 'rolling');
    await cancelDeployment(cloud.ports, { id, actor: 'ann' });
    const done = await cloud.settled(id);
    expect(done.state).toMatchObject({ status: 'cancelled' });
    expect([...cloud.fleet.places.values()].map(({ revision }) => revision?.deploymentId)).not.toContain(id);
  });

  it('is refused for what has ended, and asking twice is harmless', async () => {
    const { id } = await deploy(commitOf('a'));
    await cloud.settled(id);
    await expect(cancelDeployment(cloud.ports, { id, actor: 'ann' })).rejects.toMatchObject({ kind: 'conflict' });
  });
});

describe('a rollback', () => {
  it('brings back the artifact, the variables and the secret versions of before, without a build', async () => {
    const withSecret = { ...twoTargets, runtime: { command: ['x'], env: { MODE: 'old' }, secrets: { DB: 'db' } } };
    cloud.secrets.set('apps/web/secret/db', 'v1');
    await cloud.apply('web', withSecret);
    const old = await cloud.settled((await deploy(commitOf('a'))).id);
    cloud.secrets.set('apps/web/secret/db', 'v2');
    await cloud.apply('web', { ...withSecret, runtime: { ...withSecret.runtime, env: { MODE: 'new' } } });
    await cloud.settled((await deploy(commitOf('b'))).id);

    const back = await rollbackEnvironment(cloud.ports, { app: 'web', environment: 'dev', actor: 'ann' });
    const done = await cloud.settled(back.id);
    expect(done.state.status).toBe('succeeded');
    expect(done.revision).toEqual(old.revision);
    expect(done.revision).toMatchObject({ env: { MODE: 'old' }, secrets: { DB: { version: 'v1' } } });
    expect(cloud.builder.started).toHaveLength(2);
    await expect(
      rollbackEnvironment(cloud.ports, { app: 'web', environment: 'dev', actor: 'ann' }),
    ).rejects.toMatchObject({ kind: 'conflict' });
  });

  it('in the middle of a deploy cancels it and goes back to what ran', async () => {
    const good = await cloud.settled((await deploy(commitOf('a'))).id);
    cloud.script.fleet = (_, { revision }) => ({ ends: revision.deploymentId === good.id ? 'succeeded' : 'never' });
    const bad = await deploy(commitOf('b'));
    await cloud.reached(bad.id, 'rolling');
    const back = await rollbackEnvironment(cloud.ports, { app: 'web', environment: 'dev', actor: 'ann' });
    expect((await cloud.settled(bad.id)).state.status).toBe('cancelled');
    const done = await cloud.settled(back.id);
    expect(done).toMatchObject({ state: { status: 'succeeded' }, revision: { id: good.revision?.id } });
  });
});

describe('after its worker was lost', () => {
  const steps = [
    'acquire',
    'resolve',
    'await-build-turn',
    'record-build',
    'plan',
    'start-rollout',
    'observe',
    'drained',
    'verify',
    'finish',
  ];
  it.each(steps)(
    'before the step %s, a deployment goes on to its true end, and nothing is built or started twice',
    async (step) => {
      const reachedStep = Promise.withResolvers<void>();
      cloud.script.beforeStep = async (name) => {
        if (name !== step) return;
        reachedStep.resolve();
        await new Promise(() => {});
      };
      const { id } = await deploy(commitOf('a'));
      await reachedStep.promise;
      await cloud.loseWorkflow();
      cloud.script.beforeStep = () => {};
      await reconcile(cloud.ports);
      expect((await cloud.settled(id)).state.status).toBe('succeeded');
      expect(cloud.builder.started).toEqual([id]);
      expect(cloud.fleet.calls).toHaveLength(2);
      expect(await holders()).toEqual([]);
      expect(cloud.ended).toEqual(['succeeded']);
    },
  );

  it('while it is undone, it is undone to its end', async () => {
    cloud.script.fleet = () => ({ ends: 'failed', reason: 'unhealthy' });
    const reverting = Promise.withResolvers<void>();
    let count = 0;
    cloud.script.beforeStep = async (name) => {
      if (name !== 'revert' || (count += 1) < 2) return;
      reverting.resolve();
      await new Promise(() => {});
    };
    const { id } = await deploy(commitOf('a'));
    await reverting.promise;
    await cloud.loseWorkflow();
    cloud.script.beforeStep = () => {};
    await reconcile(cloud.ports);
    expect((await cloud.settled(id)).state).toMatchObject({ status: 'rolled_back', reason: 'one: unhealthy' });
  });

  it('between its end and the freeing of its lane, the next one still gets its turn', async () => {
    cloud.script.beforeStep = async (name) => {
      if (name === 'finish') await new Promise(() => {});
    };
    const first = await deploy(commitOf('a'));
    await cloud.reached(first.id, 'verifying');
    const second = await deploy(commitOf('b'));
    await cloud.loseWorkflow();
    cloud.script.beforeStep = () => {};
    await reconcile(cloud.ports);
    expect((await cloud.settled(first.id)).state.status).toBe('succeeded');
    expect((await cloud.settled(second.id)).state.status).toBe('succeeded');
  });
});
