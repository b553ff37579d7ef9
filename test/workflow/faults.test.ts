import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deploymentLane, readLane } from '../../functions/deployments/lane-store.ts';
import { requestDeployment } from '../../functions/deployments/request.ts';
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
const lane = async () => await readLane(cloud.ports.records, deploymentLane('web', 'dev'));
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
