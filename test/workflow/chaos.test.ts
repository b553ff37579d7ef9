import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { AppInput } from '../../functions/apps/schema.ts';
import { cancelDeployment } from '../../functions/deployments/cancel.ts';
import type { Deployment } from '../../functions/deployments/deployment.ts';
import { buildLane, deploymentLane, readLane } from '../../functions/deployments/lane-store.ts';
import { deployPush, type Push } from '../../functions/deployments/push.ts';
import { listDeployments } from '../../functions/deployments/read.ts';
import { reconcile } from '../../functions/deployments/reconcile.ts';
import { listReleases } from '../../functions/deployments/releases.ts';
import { requestDeployment } from '../../functions/deployments/request.ts';
import { rollbackEnvironment } from '../../functions/deployments/rollback.ts';
import { isEnd } from '../../functions/deployments/state.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import type { BuildScript } from '../support/scripted-builder.ts';
import { scriptedCloud, twoTargets, until } from '../support/scripted-cloud.ts';

type Cloud = Awaited<ReturnType<typeof scriptedCloud>>;
type Place = { readonly app: string; readonly environment: string };

const app: AppInput = {
  ...twoTargets,
  environments: [
    { name: 'dev', branch: 'main', targets: [{ name: 'one' }, { name: 'two', wave: 1 }] },
    { name: 'beta', branch: 'main', supersede: false, targets: [{ name: 'one' }, { name: 'two' }] },
  ],
};
const places: readonly Place[] = ['web', 'shop'].flatMap((name) =>
  ['dev', 'beta'].map((environment) => ({ app: name, environment })),
);

const place = fc.constantFrom(...places);
const commit = fc.constantFrom('a', 'b', 'c', 'd').map((digit) => digit.repeat(40));
const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('push' as const), place, commit }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('deliver again' as const), nth: fc.nat({ max: 9 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('deploy' as const), place, commit }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('cancel' as const), nth: fc.nat({ max: 9 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('roll back' as const), place }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('lose the workflow' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('look' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('fleet' as const),
      target: fc.constantFrom('one', 'two'),
      ends: fc.constantFrom('succeeded' as const, 'failed' as const, 'never' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('build' as const),
      ends: fc.constantFrom<ReturnType<BuildScript>>('succeeded', 'failed', 'interrupted', 'never'),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('breathe' as const), ms: fc.nat({ max: 15 }) }) },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

/** What somebody is refused who comes too late, or wants what is not there. */
const refused = (error: unknown) => {
  if (!(error instanceof Problem && error.kind === 'conflict')) throw error;
};

/** A control plane to which things are done at once: an action begins when the one before has not ended yet. */
async function world() {
  let tick = 1_000_000;
  const cloud = await scriptedCloud(() => (tick += 1));
  for (const name of ['web', 'shop']) await cloud.apply(name, app);
  const ids: string[] = [];
  const pushes: { place: Place; push: Push }[] = [];
  const ends: Record<string, 'succeeded' | 'failed' | 'never'> = {};
  cloud.script.fleet = ({ target }) => ({ ends: ends[target.name] ?? 'succeeded', reason: 'unhealthy' });

  const deliver = async ({ place, push }: (typeof pushes)[number]) => {
    const record = await cloud.apply(place.app, app);
    const environment = record.app.environments.find(({ name }) => name === place.environment)!;
    ids.push((await deployPush(cloud.ports, { record, environment, push })).id);
  };
  const act = async (what: Action): Promise<void> => {
    switch (what.kind) {
      case 'push': {
        const deliveryId = `d${pushes.length}`;
        const pushed = { ref: 'refs/heads/main', pusher: 'bob', commit: what.commit, pushedAtSeconds: pushes.length };
        const made = { place: what.place, push: { ...pushed, deliveryId } };
        pushes.push(made);
        return await deliver(made);
      }
      case 'deliver again': {
        const again = pushes.at(-1 - what.nth);
        return again && (await deliver(again));
      }
      case 'deploy': {
        const request = { kind: 'source', ref: 'main', commit: what.commit } as const;
        const trigger = { kind: 'api', actor: 'ann' } as const;
        ids.push((await requestDeployment(cloud.ports, { ...what.place, request, trigger })).id);
        return;
      }
      case 'cancel': {
        const id = ids.at(-1 - what.nth);
        if (id) await cancelDeployment(cloud.ports, { id, actor: 'ann' }).catch(refused);
        return;
      }
      case 'roll back':
        await rollbackEnvironment(cloud.ports, { ...what.place, actor: 'ann' }).catch(refused);
        return;
      case 'lose the workflow':
        await cloud.loseWorkflow();
        return;
      case 'look':
        await reconcile(cloud.ports);
        return;
      case 'fleet':
        ends[what.target] = what.ends;
        return;
      case 'build':
        cloud.script.build = () => what.ends;
        return;
      case 'breathe':
        await new Promise((resolve) => setTimeout(resolve, what.ms));
    }
  };
  const calm = () => {
    for (const target of Object.keys(ends)) ends[target] = 'succeeded';
    cloud.script.build = () => 'succeeded';
  };
  return { cloud, act, calm };
}

async function allDeployments(cloud: Cloud): Promise<readonly Deployment[]> {
  return (await listDeployments(cloud.ports.records, { limit: 200 })).items;
}

/** Lets all that was begun come to its end. */
async function settle(cloud: Cloud): Promise<readonly Deployment[]> {
  return await until(
    async () => {
      cloud.builder.release();
      cloud.fleet.release();
      await reconcile(cloud.ports);
      return await allDeployments(cloud);
    },
    (all) => all.every(({ settled }) => settled),
  );
}

/** From its turn to its end; undefined for one whose turn never came. */
function activeTime({ timeline }: Deployment): { from: number; to: number } | undefined {
  const from = timeline.find(({ kind }) => kind === 'building' || kind === 'rolling')?.at;
  return from === undefined ? undefined : { from, to: timeline.at(-1)?.at ?? Infinity };
}

function expectOneAtATime(deployments: readonly Deployment[]): void {
  const times = deployments.flatMap((deployment) => activeTime(deployment) ?? []).sort((a, b) => a.from - b.from);
  for (const [at, time] of times.entries()) expect(times[at + 1]?.from ?? Infinity).toBeGreaterThan(time.to);
}

function expectTruth(deployment: Deployment): void {
  const { state, targets, cancel, timeline } = deployment;
  if (!isEnd(state)) throw new Error(`${deployment.id} has not ended`);
  const statuses = new Set(targets.map(({ status }) => status));
  expect(state.reason).not.toBe('');
  expect(timeline.at(-1)?.kind).toBe(state.status);
  expect(timeline.map(({ seq }) => seq)).toEqual(timeline.map((_, at) => at + 1));
  switch (state.status) {
    case 'succeeded':
      expect([...statuses]).toEqual(['succeeded']);
      return expect(cancel).toBeUndefined();
    case 'superseded':
      return expect(activeTime(deployment)).toBeUndefined();
    case 'cancelled':
      expect(cancel).toBeDefined();
      return expect([...statuses].filter((status) => status !== 'waiting' && status !== 'reverted')).toEqual([]);
    case 'rolled_back':
      return expect([...statuses].filter((status) => status !== 'waiting')).toEqual(['reverted']);
    case 'failed':
      return expect([...statuses]).toEqual(['waiting']);
  }
}

async function expectPlaceIsRight(cloud: Cloud, { app, environment }: Place, all: readonly Deployment[]) {
  const here = all.filter((deployment) => deployment.app === app && deployment.environment === environment);
  expectOneAtATime(here);
  for (const deployment of here) expectTruth(deployment);
  const lane = await readLane(cloud.ports.records, deploymentLane(app, environment));
  expect({ active: lane.active, queue: lane.queue }).toEqual({ active: undefined, queue: [] });
  const succeeded = here.filter(({ state }) => state.status === 'succeeded');
  const releases = await listReleases(cloud.ports.records, app, environment);
  expect(releases.map(({ deploymentId }) => deploymentId).sort()).toEqual(succeeded.map(({ id }) => id).sort());
  const current = here.find(({ id }) => id === releases[0]?.deploymentId);
  const runs = ['one', 'two'].map((target) => cloud.fleet.places.get(`${app}/${environment}/${target}`)?.revision?.id);
  expect(runs).toEqual([current?.revision?.id, current?.revision?.id]);
}

it('whatever happens in whatever order, everything comes to a true end and nothing stays held', async () => {
  // Not by fast-check's own limits: those would cut off a run that hangs, and call it passed.
  const beginsUntil = Date.now() + 8000;
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 25 }), async (actions) => {
      if (Date.now() > beginsUntil) return;
      const { cloud, act, calm } = await world();
      try {
        const begun: Promise<void>[] = [];
        for (const what of actions) {
          begun.push(act(what));
          await (what.kind === 'breathe' ? begun.at(-1) : new Promise(setImmediate));
        }
        await Promise.all(begun);
        calm();
        const all = await settle(cloud);
        for (const where of places) await expectPlaceIsRight(cloud, where, all);
        for (const name of ['web', 'shop']) {
          const { active, queue } = await readLane(cloud.ports.records, buildLane(name));
          expect({ active, queue }).toEqual({ active: undefined, queue: [] });
        }
        expect(cloud.builder.mostAtOnce()).toBeLessThanOrEqual(1);
        expect(cloud.ended).toHaveLength(all.length);
        const deliveries = all.flatMap(({ trigger }) => (trigger.kind === 'push' ? trigger.deliveryId : []));
        expect(new Set(deliveries).size).toBe(deliveries.length);
      } finally {
        await cloud.close();
      }
    }),
    { numRuns: 60 },
  );
}, 60_000);
