import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildLane, enter } from '../../functions/deployments/lane-store.ts';
import { reconcile } from '../../functions/deployments/reconcile.ts';
import { listReleases } from '../../functions/deployments/releases.ts';
import { requestDeployment } from '../../functions/deployments/request.ts';
import { endDeployment } from '../../functions/deployments/turn.ts';
import { scriptedCloud, twoTargets } from '../support/scripted-cloud.ts';

let cloud: Awaited<ReturnType<typeof scriptedCloud>>;
beforeEach(async () => {
  cloud = await scriptedCloud();
  await cloud.apply('web', twoTargets);
});
afterEach(async () => await cloud.close());

const commitOf = (digit: string) => digit.repeat(40);
const deploy = async (commit: string, environment = 'dev') =>
  await requestDeployment(cloud.ports, {
    app: 'web',
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
    const start = cloud.fleet.fleet.startRollout;
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
    await cloud.reached(other.id, 'rolling');
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
