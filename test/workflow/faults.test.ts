import { findApp, removeApp } from '../../functions/apps/registry.ts';
import { rememberFit } from '../../functions/artifacts/store.ts';
import { fingerprintOf } from '../../functions/builds/plan.ts';
import { getBuild } from '../../functions/builds/store.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildLane, deploymentLane, enter, findLane, leave, readLane } from '../../functions/deployments/lane-store.ts';
import { cancelDeployment } from '../../functions/deployments/cancel.ts';
import { deployPush } from '../../functions/deployments/push.ts';
import { reconcile } from '../../functions/deployments/reconcile.ts';
import { listReleases } from '../../functions/deployments/releases.ts';
import { changeApp, retireApp } from '../../functions/deployments/retire.ts';
import { rollbackEnvironment } from '../../functions/deployments/rollback.ts';
import { requestDeployment } from '../../functions/deployments/request.ts';
import { changeDeployment, getDeployment } from '../../functions/deployments/store.ts';
import { endDeployment, resume } from '../../functions/deployments/turn.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { scriptedCloud, twoTargets } from '../support/scripted-cloud.ts';

let cloud: Awaited<ReturnType<typeof scriptedCloud>>;
beforeEach(async () => {
  cloud = await scriptedCloud();
  await cloud.apply('web', twoTargets);
});
afterEach(async () => await cloud.close());

const lane = async () => await readLane(cloud.ports.records, deploymentLane('web', 'dev'));
const commitOf = (digit: string) => digit.repeat(40);
const deploy = async (commit: string, environment = 'dev') => await deployTo('web', commit, environment);
const deployTo = async (app: string, commit: string, environment = 'dev') =>
  await requestDeployment(cloud.ports, {
    app,
    environment,
    request: { kind: 'source', ref: 'main', commit },
    trigger: { kind: 'api', actor: 'ann' },
  });
/** A point that the code under test comes to and stays at until the test lets it go on. */
function gate() {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  return {
    reached: reached.promise,
    open: opened.resolve,
    pass: async () => {
      reached.resolve();
      await opened.promise;
    },
  };
}

describe('a deployment that is undone', () => {
  it('leaves nothing running of a target whose start was still on its way', async () => {
    const targets = [{ name: 'one' }, { name: 'two' }];
    await cloud.apply('web', { ...twoTargets, environments: [{ name: 'dev', targets }] });
    const { fleet } = cloud.fleet;
    const start = fleet.startRollout.bind(fleet);
    const late = gate();
    cloud.fleet.fleet.startRollout = async (ref, input) => {
      if (ref.target.name === 'two') await late.pass();
      await start(ref, input);
    };
    cloud.script.fleet = ({ target }) =>
      target.name === 'one' ? { ends: 'failed', reason: 'unhealthy' } : { ends: 'succeeded' };
    const { id } = await deploy(commitOf('a'));
    await late.reached;
    const done = await cloud.settled(id);
    expect(done.state.status).toBe('rolled_back');
    late.open();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([...cloud.fleet.places.values()].map(({ revision }) => revision)).toEqual([undefined, undefined]);
    const after = await cloud.settled(id);
    expect(after.timeline.at(-1)?.kind).toBe('rolled_back');
    expect(after.targets.map(({ status }) => status)).toEqual(['reverted', 'waiting']);
  });
});

describe('a build that takes its time to stop', () => {
  const busy = async () =>
    await Promise.reject(new Problem('busy', 'The build is being stopped and has not ended yet'));

  it('does not refuse a cancellation that was asked for, nor a rollback', async () => {
    const good = await deploy(commitOf('a'));
    expect((await cloud.settled(good.id)).state.status).toBe('succeeded');
    const next = await deploy(commitOf('c'));
    expect((await cloud.settled(next.id)).state.status).toBe('succeeded');
    cloud.script.build = () => 'never';
    const building = await deploy(commitOf('b'));
    await cloud.reached(building.id, 'building');
    const stop = cloud.builder.builder.stop.bind(cloud.builder.builder);
    cloud.builder.builder.stop = busy;
    expect(await cancelDeployment(cloud.ports, { id: building.id, actor: 'ann' })).toMatchObject({
      cancel: { by: 'ann' },
    });
    const back = await rollbackEnvironment(cloud.ports, { app: 'web', environment: 'dev', actor: 'ann' });
    cloud.builder.builder.stop = stop;
    cloud.script.build = () => 'succeeded';
    await reconcile(cloud.ports);
    cloud.builder.release();
    expect((await cloud.settled(building.id)).state.status).toBe('cancelled');
    expect((await cloud.settled(back.id)).state.status).toBe('succeeded');
  });
});

describe('a worker that is lost', () => {
  /** Stops the workflow for good before a step. */
  const lostBefore = async (step: string, makeDeployment: () => Promise<{ id: string }>) => {
    const at = gate();
    cloud.script.beforeStep = async (name) => (name === step ? await at.pass() : undefined);
    const { id } = await makeDeployment();
    await at.reached;
    await cloud.loseWorkflow();
    cloud.script.beforeStep = () => {};
    return id;
  };

  it('after a build was recorded and before its place was given back blocks no other build', async () => {
    const environments = ['dev', 'beta'].map((name) => ({ name, targets: [{ name: 'web' }] }));
    await cloud.apply('web', { ...twoTargets, environments });
    const id = await lostBefore('plan', async () => await deploy(commitOf('a')));
    await enter(cloud.ports.records, buildLane('web'), { entry: { holder: id, at: 1, supersedes: false, token: 'x' } });
    cloud.script.fleet = () => ({ ends: 'never' });
    await reconcile(cloud.ports);
    await cloud.reached(id, 'rolling');
    const other = await deploy(commitOf('b'), 'beta');
    expect((await cloud.reached(other.id, 'rolling')).state.status).toBe('rolling');
  });

  it('in a step that hangs is replaced when its deployment was cancelled long ago', async () => {
    cloud.script.fleet = () => ({ ends: 'never' });
    const hanging = gate();
    cloud.script.beforeStep = async (name) => (name === 'observe' ? await hanging.pass() : undefined);
    const { id } = await deploy(commitOf('a'));
    await hanging.reached;
    await cancelDeployment(cloud.ports, { id, actor: 'ann' });
    expect(await reconcile(cloud.ports)).toMatchObject({ open: 1, looked: 1, findings: 0 });
    cloud.script.beforeStep = () => {};
    const later = { ...cloud.ports, clock: () => Date.now() + 16 * 60_000 };
    expect(await reconcile(later)).toMatchObject({ findings: 1 });
    expect((await cloud.settled(id)).state.status).toBe('cancelled');
    hanging.open();
  });

  it('is found again the next time where the time did not suffice', async () => {
    cloud.script.fleet = () => ({ ends: 'never' });
    const ids = [];
    for (const at of Array.from({ length: 25 }).keys()) {
      await cloud.apply(`web-${at}`, { ...twoTargets, source: { repoUrl: `https://github.com/acme/web-${at}` } });
      ids.push((await deployTo(`web-${at}`, commitOf('a'))).id);
    }
    for (const id of ids) await cloud.reached(id, 'rolling');
    await cloud.loseWorkflow();
    // The first look takes all its time.
    let now = Date.now();
    const slow = { ...cloud.ports, clock: () => (now += 40) };
    const first = await reconcile(slow, { budgetMs: 100 });
    expect(first.looked).toBeLessThan(25);
    expect(first.findings).toBe(first.looked);
    expect(await reconcile(cloud.ports)).toMatchObject({ open: 25, looked: 25, findings: 25 - first.looked });
  });

  it('between the end and the memory of it still leaves what ran to be rolled back to', async () => {
    const id = await lostBefore('finish', async () => await deploy(commitOf('a')));
    await endDeployment(cloud.ports, id, { status: 'succeeded', reason: 'it runs' });
    await reconcile(cloud.ports);
    await cloud.settled(id);
    const releases = await listReleases(cloud.ports.records, 'web', 'dev');
    expect(releases.map(({ deploymentId }) => deploymentId)).toEqual([id]);
  });
});

describe('a cancellation', () => {
  it('that comes when the last look was taken is kept: what it was promised for does not succeed', async () => {
    const at = gate();
    cloud.script.beforeStep = async (name) => (name === 'finish' ? await at.pass() : undefined);
    const { id } = await deploy(commitOf('a'));
    await at.reached;
    await cancelDeployment(cloud.ports, { id, actor: 'ann' });
    at.open();
    expect((await cloud.settled(id)).state.status).toBe('cancelled');
    expect([...cloud.fleet.places.values()].map(({ revision }) => revision)).toEqual([undefined, undefined]);
  });

  it('of one that begins to roll meanwhile is no error', async () => {
    await cloud.settled((await deploy(commitOf('a'))).id);
    const planning = gate();
    const reverting = gate();
    cloud.fleet.fleet.refuses = async () => (await planning.pass(), undefined);
    cloud.script.beforeStep = (name) => (name === 'revert' ? reverting.pass() : undefined);
    const request = {
      kind: 'artifact',
      digest: [...cloud.fleet.places.values()][0]!.revision!.artifact.digest,
    } as const;
    const trigger = { kind: 'api', actor: 'ann' } as const;
    const { id } = await requestDeployment(cloud.ports, { app: 'web', environment: 'dev', request, trigger });
    await planning.reached;
    const { records } = cloud.ports;
    const replace: typeof records.replace = async (...write) => {
      const written = await records.replace(...write);
      planning.open();
      await reverting.reached;
      return written;
    };
    await cancelDeployment({ ...cloud.ports, records: { ...records, replace } }, { id, actor: 'ann' });
    reverting.open();
    expect((await cloud.settled(id)).state.status).toBe('cancelled');
  });

  it('that nobody could act on any more when it was asked for is acted on by the next look', async () => {
    cloud.script.build = () => 'never';
    const { id } = await deploy(commitOf('a'));
    await cloud.reached(id, 'building');
    await changeDeployment(cloud.ports.records, id, (found) => ({ ...found, cancel: { by: 'ann', at: 1 } }));
    await reconcile(cloud.ports);
    expect((await cloud.settled(id)).state.status).toBe('cancelled');
  });

  it('of one that waits to be built does not keep the others waiting', async () => {
    const environments = ['dev', 'beta', 'gamma'].map((name) => ({ name, targets: [{ name: 'web' }] }));
    await cloud.apply('web', { ...twoTargets, environments });
    cloud.script.build = () => 'never';
    const first = await deploy(commitOf('a'));
    await cloud.reached(first.id, 'building');
    const entered = gate();
    cloud.script.beforeStep = (name) => (name === 'await-build-turn' ? entered.pass() : undefined);
    const second = await deploy(commitOf('b'), 'beta');
    await entered.reached;
    await cancelDeployment(cloud.ports, { id: second.id, actor: 'ann' });
    cloud.script.beforeStep = () => {};
    entered.open();
    expect((await cloud.settled(second.id)).state.status).toBe('cancelled');
    const lane = await readLane(cloud.ports.records, buildLane('web'));
    expect(lane).toMatchObject({ active: { holder: first.id }, queue: [] });
    expect((await getBuild(cloud.ports.records, second.id)).state.status).toBe('stopped');
    await cancelDeployment(cloud.ports, { id: first.id, actor: 'ann' });
    await cloud.settled(first.id);
  });
});

describe('a lane', () => {
  it('is not held by one that ended while a look at it was under way', async () => {
    const { id } = await deploy(commitOf('a'));
    const before = await getDeployment(cloud.ports.records, id);
    await cloud.settled(id);
    const workflow = { ...cloud.ports.workflow, start: async () => {} };
    await resume({ ...cloud.ports, workflow }, before);
    expect((await lane()).active).toBeUndefined();
  });

  it('whose holder is gone is given to who waits', async () => {
    const first = await deploy(commitOf('a'));
    await cloud.settled(first.id);
    const name = deploymentLane('web', 'dev');
    for (const holder of ['nobody', first.id]) {
      await enter(cloud.ports.records, name, { entry: { holder, at: 1, supersedes: false } });
    }
    const second = await deploy(commitOf('b'));
    await reconcile(cloud.ports);
    expect((await cloud.settled(second.id)).state.status).toBe('succeeded');
    expect(await lane()).toMatchObject({ queue: [] });
  });

  it('is written by no look at what stands in it', async () => {
    cloud.script.fleet = () => ({ ends: 'never' });
    const first = await deploy(commitOf('a'));
    await cloud.reached(first.id, 'rolling');
    const second = await deploy(commitOf('b'));
    const version = async () => (await findLane(cloud.ports.records, deploymentLane('web', 'dev'))).stored?.version;
    const before = await version();
    await reconcile(cloud.ports);
    expect(await version()).toBe(before);
    for (const { id } of [second, first]) await cancelDeployment(cloud.ports, { id, actor: 'ann' });
    await cloud.settled(first.id);
  });

  it('of builds is left by the entry that was granted, and not by the same holder come again', async () => {
    const { records } = cloud.ports;
    const entry = { holder: 'd', at: 1, supersedes: false };
    await enter(records, 'build/x', { entry: { ...entry, token: 'old' } });
    await enter(records, 'build/x', { entry: { ...entry, token: 'new' } });
    await leave(records, 'build/x', { ...entry, token: 'old' });
    expect((await readLane(records, 'build/x')).active?.token).toBe('new');
  });

  it('of builds that a settled deployment holds is given to who waits', async () => {
    const first = await deploy(commitOf('a'));
    await cloud.settled(first.id);
    await enter(cloud.ports.records, buildLane('web'), {
      entry: { holder: first.id, at: 1, supersedes: false, token: 'dead' },
    });
    const second = await deploy(commitOf('b'));
    expect((await cloud.settled(second.id)).state.status).toBe('succeeded');
  });
});

describe('a rollback', () => {
  it('asked for at the moment a deployment succeeds goes to what ran before that', async () => {
    const good = await cloud.settled((await deploy(commitOf('a'))).id);
    const bad = await cloud.settled((await deploy(commitOf('b'))).id);
    await enter(cloud.ports.records, deploymentLane('web', 'dev'), {
      entry: { holder: bad.id, at: 1, supersedes: false },
    });
    const back = await rollbackEnvironment(cloud.ports, { app: 'web', environment: 'dev', actor: 'ann' });
    expect(back.request).toEqual({ kind: 'revision', deploymentId: good.id });
    await reconcile(cloud.ports);
    expect((await cloud.settled(back.id)).state.status).toBe('succeeded');
  });
});

describe('an app that changes', () => {
  const without = (name: string) => ({
    ...twoTargets,
    environments: twoTargets.environments.map((environment) => ({
      ...environment,
      targets: environment.targets.filter((target) => target.name !== name),
    })),
  });
  const change = async (force: boolean) =>
    await changeApp(cloud.ports, { id: 'web', input: without('two'), force, actor: 'ann' });

  it('may not drop a target that a deployment is on its way to', async () => {
    cloud.script.fleet = ({ target }) => ({ ends: target.name === 'one' ? 'never' : 'succeeded' });
    const { id } = await deploy(commitOf('a'));
    await cloud.reached(id, 'rolling');
    await expect(change(false)).rejects.toMatchObject({ kind: 'conflict' });
    await change(true);
    expect((await cloud.settled(id)).state.status).toBe('cancelled');
  });

  it('and is deleted, also by force, is not deployed by who came in meanwhile', async () => {
    const { fleet } = cloud.fleet;
    const retire = fleet.retire.bind(fleet);
    const draining = gate();
    cloud.fleet.fleet.retire = async (ref) => {
      await draining.pass();
      await retire(ref);
    };
    const gone = retireApp(cloud.ports, { app: 'web', force: true, actor: 'ann' });
    await draining.reached;
    cloud.script.fleet = () => ({ ends: 'never' });
    const rolling = await deploy(commitOf('a'));
    await cloud.reached(rolling.id, 'rolling');
    const waiting = await deploy(commitOf('b'));
    draining.open();
    await gone;
    expect((await cloud.settled(waiting.id)).state.status).toBe('cancelled');
    // Its target may be gone before the cancellation reaches it: then it failed, and was undone.
    expect(['cancelled', 'rolled_back']).toContain((await cloud.settled(rolling.id)).state.status);
  });

  it('and is deleted goes to its end, though whoever deleted it is lost on the way', async () => {
    const { fleet } = cloud.fleet;
    const retire = fleet.retire.bind(fleet);
    await cloud.settled((await deploy(commitOf('a'))).id);
    fleet.retire = async () => await Promise.reject(new Error('the process was killed'));
    await expect(retireApp(cloud.ports, { app: 'web', force: true, actor: 'ann' })).rejects.toThrow('killed');
    await reconcile(cloud.ports);
    expect(await findApp(cloud.ports.records, 'web')).toBeDefined();
    fleet.retire = retire;
    await reconcile(cloud.ports);
    expect(await findApp(cloud.ports.records, 'web')).toBeUndefined();
    expect((await cloud.ports.records.list({ partition: 'apps/retiring', index: 'open' })).items).toEqual([]);
  });

  it('and is deleted tells of tasks that drain for longer than a call may take', async () => {
    const { fleet } = cloud.fleet;
    const retire = fleet.retire.bind(fleet);
    fleet.retire = async () => await Promise.reject(new Problem('busy', '1 task still drains'));
    expect(await retireApp(cloud.ports, { app: 'web', force: true, actor: 'ann' })).toBe('going');
    fleet.retire = retire;
    await reconcile(cloud.ports);
    expect(await findApp(cloud.ports.records, 'web')).toBeUndefined();
  });

  it('and is being deleted takes no change, which would go with it', async () => {
    const { fleet } = cloud.fleet;
    const retire = fleet.retire.bind(fleet);
    fleet.retire = async () => await Promise.reject(new Problem('busy', '1 task still drains'));
    await retireApp(cloud.ports, { app: 'web', force: true, actor: 'ann' });
    const change = { id: 'web', input: twoTargets, force: true, actor: 'ann' };
    await expect(changeApp(cloud.ports, change)).rejects.toMatchObject({ kind: 'conflict' });
    fleet.retire = retire;
    await reconcile(cloud.ports);
    expect((await changeApp(cloud.ports, change)).created).toBe(true);
    expect((await changeApp(cloud.ports, { ...change, input: { ...twoTargets, health: {} } })).created).toBe(false);
  });

  it('and is deleted again after it was made anew goes, though what began before was never cleared', async () => {
    const { fleet } = cloud.fleet;
    const retire = fleet.retire.bind(fleet);
    const killed = async () => await Promise.reject(new Error('the process was killed'));
    const lost = async () => {
      fleet.retire = killed;
      await expect(retireApp(cloud.ports, { app: 'web', force: true, actor: 'ann' })).rejects.toThrow('killed');
      fleet.retire = retire;
    };
    await lost();
    await removeApp(cloud.ports, 'web');
    await new Promise((resolve) => setTimeout(resolve, 2));
    await cloud.apply('web', twoTargets);
    await lost();
    await reconcile(cloud.ports);
    expect(await findApp(cloud.ports.records, 'web')).toBeUndefined();
    expect((await cloud.ports.records.list({ partition: 'apps/retiring', index: 'open' })).items).toEqual([]);
  });

  it('and is made anew is not deleted by who began before', async () => {
    const { fleet } = cloud.fleet;
    fleet.retire = async () => await Promise.reject(new Error('the process was killed'));
    await expect(retireApp(cloud.ports, { app: 'web', force: true, actor: 'ann' })).rejects.toThrow('killed');
    await removeApp(cloud.ports, 'web');
    await new Promise((resolve) => setTimeout(resolve, 2));
    await cloud.apply('web', twoTargets);
    await reconcile(cloud.ports);
    expect(await findApp(cloud.ports.records, 'web')).toBeDefined();
  });

  it('and is deleted begins no deployment that was made before it was gone', async () => {
    const at = gate();
    cloud.script.beforeStep = async (name) => (name === 'acquire' ? await at.pass() : undefined);
    const { id } = await deploy(commitOf('a'));
    await at.reached;
    await removeApp(cloud.ports, 'web');
    at.open();
    expect((await cloud.settled(id)).state).toMatchObject({
      status: 'failed',
      reason: expect.stringContaining('web') as string,
    });
    expect(cloud.fleet.calls).toEqual([]);
  });

  it('and is deleted and made again takes the push that it took before', async () => {
    const push = async (deliveryId: string) => {
      const record = await cloud.apply('web', twoTargets);
      const environment = record.app.environments[0]!;
      const what = { ref: 'refs/heads/main', commit: commitOf('a'), deliveryId, pusher: 'bob' };
      return await deployPush(cloud.ports, { record, environment, push: what });
    };
    await cloud.settled((await push('d1')).id);
    await retireApp(cloud.ports, { app: 'web', force: true, actor: 'ann' });
    expect((await push('d2')).isNew).toBe(true);
  });
});

describe('what is told', () => {
  it('names the commit that was asked for, also when an earlier one made the same artifact', async () => {
    const first = await cloud.settled((await deploy(commitOf('a'))).id);
    const fingerprint = fingerprintOf(first.settings, commitOf('b')) ?? '';
    await rememberFit(cloud.ports.records, { app: 'web', fingerprint, digest: first.artifact! });
    expect((await cloud.settled((await deploy(commitOf('b'))).id)).commit).toBe(commitOf('b'));
  });

  it('is never that a target runs a revision when it runs none', async () => {
    const at = gate();
    cloud.script.beforeStep = async (name) => (name === 'verify' ? await at.pass() : undefined);
    const { id } = await deploy(commitOf('a'));
    await at.reached;
    for (const place of cloud.fleet.places.values()) place.revision = undefined;
    at.open();
    expect((await cloud.settled(id)).state.status).toBe('rolled_back');
  });

  it('of a build that failed fits the record, however much it has to say', async () => {
    cloud.script.build = () => 'failed';
    const said = { status: 'failed', reason: 'x'.repeat(300_000), phases: [], exported: {} } as const;
    cloud.builder.builder.wait = async () => said;
    const done = await cloud.settled((await deploy(commitOf('a'))).id);
    expect(done.state.status).toBe('failed');
    expect(JSON.stringify(done).length).toBeLessThan(20_000);
  });
});

describe('a state that waits', () => {
  it.each(['await-change', 'await-build-turn'])(
    'is entered again when its step %s failed for a moment',
    async (step) => {
      cloud.script.fleet = () => ({ ends: 'never' });
      const again = Promise.withResolvers<void>();
      let calls = 0;
      cloud.script.beforeStep = (name) => {
        if (name !== step) return;
        calls += 1;
        if (calls === 1) throw new Error('connection reset');
        again.resolve();
      };
      const { id } = await deploy(commitOf('a'));
      await Promise.race([again.promise, cloud.settled(id)]);
      await cloud.reached(id, 'rolling');
      await cancelDeployment(cloud.ports, { id, actor: 'ann' });
      expect((await cloud.settled(id)).state.status).toBe('cancelled');
    },
  );
});
