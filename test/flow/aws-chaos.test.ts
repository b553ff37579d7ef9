import { AsyncLocalStorage } from 'node:async_hooks';
import fc from 'fast-check';
import { v7 } from 'uuid';
import { expect, it } from 'vitest';
import { applyApp } from '../../functions/apps/registry.ts';
import type { AppInput } from '../../functions/apps/schema.ts';
import { rolloutOfService } from '../../functions/aws/fleet/rollout-record.ts';
import { cancelDeployment } from '../../functions/deployments/cancel.ts';
import type { Deployment } from '../../functions/deployments/deployment.ts';
import { buildLane, deploymentLane, readLane } from '../../functions/deployments/lane-store.ts';
import { listDeployments } from '../../functions/deployments/read.ts';
import { reconcile } from '../../functions/deployments/reconcile.ts';
import { requestDeployment } from '../../functions/deployments/request.ts';
import { rollbackEnvironment } from '../../functions/deployments/rollback.ts';
import { isEnd } from '../../functions/deployments/state.ts';
import { wakeRollout } from '../../functions/deployments/wake.ts';
import { defaultLimits, defaultOidc } from '../../functions/ports/limits.ts';
import type { Ports } from '../../functions/ports/ports.ts';
import type { Records } from '../../functions/ports/records.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { silentLog } from '../../functions/runtime/log.ts';
import { runStep } from '../../functions/workflow/steps.ts';
import { localWorkflow, readDefinition } from '../../local/workflow.ts';
import { idleJobs } from '../support/idle-jobs.ts';
import { awsFleet, stackDefinition, twoServices } from '../support/aws-fleet.ts';
import { openTestRecords } from '../support/records.ts';
import { awsError } from '../support/scripted-aws.ts';
import { scriptedBuilder } from '../support/scripted-builder.ts';
import { until } from '../support/scripted-cloud.ts';

/**
 * What becomes of a call. `refused`: nothing is done, the service says that it is busy. `lost`: it is done, and no answer
 * comes. `killed`: the function that makes it is gone before it, `died`: after it; nothing more comes of either.
 */
type Fault = 'refused' | 'lost' | 'killed' | 'died';
/** So many calls, or so many that change something, go well before the fault. */
type Planned = { readonly after: number; readonly fault: Fault; readonly ofWrites?: true };

class Killed extends Error {
  override readonly name = 'Runtime.ExitError';
}

const writes = new Set(['RegisterTaskDefinition', 'UpdateService', 'StopServiceDeployment']);

const appOf = (behaves: string, bakeSeconds: number): AppInput =>
  twoServices(behaves, { timeLimitSeconds: 3600, bakeSeconds });

/** The definition as AWS runs it, but for its pauses, which are the test's time and not ECS's. */
async function hurried() {
  const definition = await readDefinition(new URL('../../functions/workflow/deploy.asl.json', import.meta.url));
  const text = JSON.stringify(definition)
    .replaceAll(/"IntervalSeconds":\d+/g, '"IntervalSeconds":0')
    .replaceAll(/"BackoffRate":[\d.]+/g, '"BackoffRate":1')
    .replaceAll(/"Seconds":30/g, '"Seconds":1');
  return JSON.parse(text) as typeof definition;
}

/** Every call that the functions make of records, ECS, Step Functions and CodeBuild can go wrong, as is planned. */
async function world(plan: readonly Planned[]) {
  const stores = await openTestRecords();
  const invocation = new AsyncLocalStorage<{ isDead: boolean }>();
  const queue = [...plan];
  /** Before anybody notices that a function is dead. */
  const hooks = { onDeath: async (): Promise<void> => {} };
  let calls = 0;
  let lostRegistrations = 0;

  const nextFault = (isWrite: boolean): Fault | undefined => {
    if (queue[0] === undefined || (queue[0].ofWrites && !isWrite) || calls++ < queue[0].after) return undefined;
    calls = 0;
    return queue.shift()?.fault;
  };
  const die = (): never => {
    const store = invocation.getStore();
    if (store) store.isDead = true;
    throw new Killed('Runtime exited with error: signal: killed');
  };
  const call = async <T>(does: () => Promise<T>, isWrite = true): Promise<T> => {
    if (invocation.getStore()?.isDead) die();
    const fault = nextFault(isWrite);
    if (fault === 'killed') die();
    if (fault === 'refused') throw new Problem('busy', 'The service does not answer right now');
    const answer = await does();
    if (fault === 'died') die();
    if (fault === 'lost') throw new Problem('busy', 'The service does not answer right now');
    return answer;
  };
  /** What a function runs; a killed one answers nobody. */
  const invoke = async <T>(run: () => Promise<T>): Promise<T> => {
    const store = { isDead: false };
    try {
      return await invocation.run(store, run);
    } finally {
      if (store.isDead) await hooks.onDeath();
    }
  };

  const { records: truth } = stores;
  const records: Records = {
    find: async (key) => await call(() => truth.find(key), false),
    create: async (key, value, options) => await call(() => truth.create(key, value, options)),
    replace: async (stored, value, options) => await call(() => truth.replace(stored, value, options)),
    remove: async (stored) => await call(() => truth.remove(stored)),
    list: async (query) => await call(() => truth.list(query), false),
    ready: async () => {},
  };
  const fleetOf = await awsFleet({ records, maxAttempts: 1 });
  const { aws } = fleetOf;
  const containers = [...(stackDefinition().containerDefinitions ?? []), { name: 'sluice-bundle', essential: false }];
  const services = ['one', 'two'].map(
    (name) => fleetOf.addTarget(name, { definition: { containerDefinitions: containers } }).service,
  );
  aws.world.settings.tickMs = 1000;
  aws.script.beforeCall = (operation) => {
    if (invocation.getStore()?.isDead) die();
    const fault = nextFault(writes.has(operation));
    if (fault === 'killed') die();
    if (fault === 'refused') throw awsError('ThrottlingException', 'Rate exceeded');
    if (fault === undefined) return;
    aws.fault(operation, 'lost');
    const store = invocation.getStore();
    // Done, and whatever follows in this function is not.
    if (store && fault === 'died') store.isDead = true;
    if (operation === 'RegisterTaskDefinition' && fault === 'lost') lostRegistrations += 1;
  };
  const background: Promise<unknown>[] = [];
  aws.world.settings.onEvent = (arn) => {
    const wake = async () => {
      const rolloutId = await rolloutOfService(records, arn);
      if (rolloutId !== undefined) await wakeRollout(ports, rolloutId);
    };
    background.push(invoke(wake).catch(() => {}));
  };

  const script: { build: 'succeeded' | 'failed' | 'interrupted' } = { build: 'succeeded' };
  const builder = scriptedBuilder({ script: () => () => script.build });
  const definition = await hurried();
  const step = async (payload: Readonly<Record<string, unknown>> & { step: string }) => {
    const answer = await invoke(async () => await runStep(ports, payload));
    const { token } = payload;
    // The time-out of a wait, in the test's time.
    if (payload.step === 'await-change' && typeof token === 'string')
      background.push(new Promise((r) => setTimeout(r, 40)).then(async () => await machine.resume(token, {})));
    return 'waitSeconds' in answer ? { ...answer, waitSeconds: payload.step === 'verify' ? 0 : 1 } : answer;
  };
  const newMachine = () => localWorkflow({ definition, builder: builder.builder, log: silentLog, runStep: step });
  let machine = newMachine();
  const ports: Ports = {
    records,
    workflow: {
      start: async (id) => await call(() => machine.start(id)),
      isRunning: async (id) => await call(() => machine.isRunning(id), false),
      stop: async (id, reason) => await call(() => machine.stop(id, reason)),
      resume: async (token, output) => await call(() => machine.resume(token, output)),
      fail: async (token, error) => await call(() => machine.fail(token, error)),
      ready: async () => {},
    },
    fleet: fleetOf.fleet,
    builder: { ...builder.builder, stop: async (id) => await call(() => builder.builder.stop(id)) },
    objects: {} as Ports['objects'],
    ...idleJobs,
    secrets: { findVersion: async () => 'v1', list: async () => [] } as Partial<Ports['secrets']> as Ports['secrets'],
    clock: () => aws.world.now(),
    newId: v7,
    log: silentLog,
    metrics: { deploymentEnded: () => {}, buildEnded: () => {} },
    policy: {
      source: { allowFile: false, ownRemote: undefined },
      fetch: { allowPrivateHosts: false, maxBytes: 1e9 },
      limits: defaultLimits,
      oidc: defaultOidc,
    },
  };

  /** A step of everything; what serves may never be less than is wanted. */
  const tick = () => {
    aws.world.tick();
    for (const service of services) {
      const serving = service.tasks.filter((task) => aws.world.serving(service, task)).length;
      expect(serving, `${service.name} serves`).toBeGreaterThanOrEqual(service.desired);
    }
  };
  return {
    aws,
    ports,
    records: truth,
    services,
    script,
    builder,
    invoke,
    hooks,
    tick,
    calm: () => void queue.splice(0),
    plan: (planned: Planned) => {
      calls = 0;
      queue.push(planned);
    },
    isPlanned: () => queue.length > 0,
    lostRegistrations: () => lostRegistrations,
    /** What ends every execution where it stands. */
    loseMachine: () => {
      void machine.close();
      machine = newMachine();
    },
    close: async () => {
      await Promise.allSettled(background);
      await machine.close();
      await fleetOf.close();
      await stores.close();
    },
  };
}

type World = Awaited<ReturnType<typeof world>>;

const place = { app: 'web', environment: 'dev' };
const behaviour = fc.constantFrom('healthy', 'healthy', 'exits');
const action = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('deploy' as const),
      behaves: behaviour,
      bakeSeconds: fc.constantFrom(0, 5),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cancel' as const), nth: fc.nat({ max: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('roll back' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose the executions' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reconcile' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('builds' as const),
      end: fc.constantFrom('succeeded' as const, 'failed' as const, 'interrupted' as const),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('time' as const), ticks: fc.integer({ min: 1, max: 30 }) }) },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;
const fault = fc.constantFrom<Fault>('refused', 'lost', 'killed', 'died');
const faults = fc.array(fc.record({ after: fc.nat({ max: 60 }), fault }), { maxLength: 20 });

async function act(cloud: World, what: Action, commits: { count: number }): Promise<void> {
  const { ports } = cloud;
  switch (what.kind) {
    case 'deploy': {
      commits.count += 1;
      await applyApp(ports, { id: 'web', input: appOf(what.behaves, what.bakeSeconds) });
      const request = { kind: 'source', ref: 'main', commit: String(commits.count).repeat(40).slice(0, 40) } as const;
      await requestDeployment(ports, { ...place, request, trigger: { kind: 'api', actor: 'ann' } });
      return;
    }
    case 'cancel': {
      const { items } = await listDeployments(cloud.records, { limit: 10 });
      const id = items[what.nth]?.id;
      if (id) await cancelDeployment(ports, { id, actor: 'ann' });
      return;
    }
    case 'roll back':
      await rollbackEnvironment(ports, { ...place, actor: 'ann' });
      return;
    case 'lose the executions':
      return cloud.loseMachine();
    case 'reconcile':
      await reconcile(ports);
      return;
    case 'builds':
      cloud.script.build = what.end;
      return;
    case 'time':
      for (let ticks = 0; ticks < what.ticks; ticks += 1) {
        cloud.tick();
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
  }
}

/** Who asks hears of what failed, and asks no more; what is not ours to refuse is a defect. */
const heard = (error: unknown) => {
  if (!(error instanceof Killed || error instanceof Problem)) throw error;
};

async function settle(cloud: World): Promise<readonly Deployment[]> {
  return await until(
    async () => {
      cloud.tick();
      cloud.builder.release();
      await reconcile(cloud.ports);
      return (await listDeployments(cloud.records, { limit: 200 })).items;
    },
    (all) => all.every(({ settled }) => settled),
  );
}

function expectTruth({ state, targets, cancel, timeline, id }: Deployment): void {
  if (!isEnd(state)) throw new Error(`${id} has not ended`);
  const statuses = new Set(targets.map(({ status }) => status));
  const touched = [...statuses].filter((status) => status !== 'waiting');
  expect(state.reason).not.toBe('');
  expect(timeline.at(-1)).toMatchObject({ kind: state.status, text: state.reason });
  switch (state.status) {
    case 'succeeded':
      expect(cancel).toBeUndefined();
      return expect([...statuses]).toEqual(['succeeded']);
    case 'superseded':
      return expect(touched).toEqual([]);
    case 'cancelled':
      expect(cancel).toBeDefined();
      return expect(touched.filter((status) => status !== 'reverted')).toEqual([]);
    case 'rolled_back':
      return expect(touched).toEqual(['reverted']);
    case 'failed':
      return expect(touched).toEqual([]);
  }
}

async function expectRight(cloud: World, all: readonly Deployment[]): Promise<void> {
  for (const deployment of all) expectTruth(deployment);
  const times = all
    .flatMap(({ timeline }) => {
      const from = timeline.find(({ kind }) => kind === 'rolling')?.at;
      return from === undefined ? [] : [{ from, to: timeline.at(-1)?.at ?? Infinity }];
    })
    .sort((a, b) => a.from - b.from);
  for (const [at, { to }] of times.entries()) expect(times[at + 1]?.from ?? Infinity).toBeGreaterThanOrEqual(to);
  for (const name of [deploymentLane('web', 'dev'), buildLane('web')]) {
    const { active, queue } = await readLane(cloud.records, name);
    expect({ active, queue }).toEqual({ active: undefined, queue: [] });
  }
  const good = all.find(({ state }) => state.status === 'succeeded');
  for (const service of cloud.services) {
    const present = service.tasks.filter(({ status }) => status !== 'STOPPED');
    expect(present.map(({ definition }) => definition)).toEqual([service.definition, service.definition]);
    const tags = cloud.aws.world.definitions.get(service.definition)?.tags ?? [];
    expect(tags.find(({ key }) => key === 'sluice:revision')?.value).toBe(good?.revision?.id);
  }
  const rollouts = [...cloud.aws.world.definitions.values()].flatMap(
    ({ tags }) => tags.find(({ key }) => key === 'sluice:rollout')?.value ?? [],
  );
  expect(rollouts.length - new Set(rollouts).size).toBeLessThanOrEqual(cloud.lostRegistrations());
}

it('whatever call is refused, lost or cut off, every deployment on ECS comes to its true end', async () => {
  // Not by fast-check's own limits: those would cut off a run that hangs, and call it passed.
  const beginsUntil = Date.now() + 5000;
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 4, maxLength: 14 }), faults, async (actions, plan) => {
      if (Date.now() > beginsUntil) return;
      const cloud = await world(plan);
      try {
        const commits = { count: 0 };
        for (const what of actions) await cloud.invoke(async () => await act(cloud, what, commits)).catch(heard);
        cloud.calm();
        cloud.script.build = 'succeeded';
        await expectRight(cloud, await settle(cloud));
      } finally {
        await cloud.close();
      }
    }),
    { numRuns: 200 },
  );
}, 60_000);

/** Each run of the tests cuts off at another twelfth of the calls: all of them would take a minute. */
const everyNth = 12;

const cancel: Action = { kind: 'cancel', nth: 0 };

/** A deployment, cut off at one call that changes something; a person may cancel it at that very moment. */
async function cutOff(plan: Planned, behaves: 'healthy' | 'exits', isCancelled: boolean) {
  const cloud = await world([]);
  try {
    await act(cloud, { kind: 'deploy', behaves, bakeSeconds: 0 }, { count: 0 });
    cloud.plan(plan);
    cloud.hooks.onDeath = async () => {
      if (isCancelled) await cloud.invoke(async () => await act(cloud, cancel, { count: 0 })).catch(heard);
    };
    let looks = 0;
    const all = await until(
      async () => {
        cloud.tick();
        if ((looks += 1) % 10 === 0) await cloud.invoke(async () => await reconcile(cloud.ports)).catch(heard);
        return (await listDeployments(cloud.records, { limit: 10 })).items;
      },
      ([deployment]) => deployment?.settled === true,
    );
    const wasCut = !cloud.isPlanned();
    cloud.calm();
    await expectRight(cloud, all);
    return { wasCut, status: all[0]?.state.status };
  } finally {
    await cloud.close();
  }
}

it.each([
  { fault: 'died', behaves: 'exits', isCancelled: false, ends: ['rolled_back'] },
  { fault: 'lost', behaves: 'exits', isCancelled: false, ends: ['rolled_back'] },
  { fault: 'died', behaves: 'healthy', isCancelled: true, ends: ['cancelled', 'succeeded'] },
] as const)(
  'cut off at any call ($fault, $behaves, cancelled: $isCancelled) it comes to its true end',
  async (scene) => {
    for (let after = Math.floor(Math.random() * everyNth); ; after += everyNth) {
      const plan = { after, fault: scene.fault, ofWrites: true } as const;
      const { wasCut, status } = await cutOff(plan, scene.behaves, scene.isCancelled);
      if (!wasCut) break;
      expect(scene.ends, `after ${after} calls`).toContain(status);
    }
  },
  120_000,
);
