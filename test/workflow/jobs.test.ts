import { afterEach, describe, expect, it } from 'vitest';
import type { AppInput } from '../../functions/apps/schema.ts';
import { secretPath } from '../../functions/apps/secrets.ts';
import { readManifest } from '../../functions/artifacts/manifest.ts';
import { readPointer } from '../../functions/artifacts/pointer.ts';
import { requestCommit } from '../../functions/builds/commit.ts';
import { findJob, getJob, openJobs } from '../../functions/builds/job-store.ts';
import { checkRunId, jobLog } from '../../functions/builds/job-log.ts';
import { jobLane } from '../../functions/builds/job-turn.ts';
import type { Job } from '../../functions/builds/job.ts';
import { claimByJob, jobOfSeed, makeJob } from '../../functions/builds/new-job.ts';
import { numberOf } from '../../functions/builds/number.ts';
import { requestPublish } from '../../functions/builds/publish.ts';
import { readLane } from '../../functions/deployments/lane-store.ts';
import { reconcile } from '../../functions/deployments/reconcile.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { runStep } from '../../functions/workflow/steps.ts';
import { alone, buildsService, bundle, type BuildsService } from '../support/builds-service.ts';
import { killEvery } from '../support/density.ts';
import type { KillPoint } from '../support/mortal.ts';
import { until } from '../support/scripted-cloud.ts';
import { plainRecords } from '../support/records.ts';

const withAll: AppInput = {
  runtime: { command: ['node', 'server.mjs'] },
  environments: [
    {
      name: 'dev',
      targets: [{ name: 'one' }],
      checks: [{ name: 'lint', command: 'true' }],
      hooks: [{ name: 'tell', url: 'https://hooks.example.com/', secret: 'hook' }],
    },
    { name: 'beta', parent: 'dev', promotion: 'automatic', targets: [{ name: 'one' }] },
  ],
};

const everyPoint = killEvery(9);

const open: BuildsService[] = [];
afterEach(async () => {
  for (const service of open.splice(0)) await service.close();
});
async function service(app: AppInput = alone): Promise<BuildsService> {
  const world = await buildsService();
  open.push(world);
  world.secretValues.set(secretPath('web', 'hook'), 'the secret of a hook');
  await world.apply('web', app);
  return world;
}

/** What a client does who loses answers: it looks how far the build is, and asks for what comes next. */
async function bring(world: BuildsService, id: number): Promise<void> {
  for (;;) {
    const { state, published } = await world.build(id);
    if (published.status === 'published') return;
    // Whatever it is told, it looks again.
    const asked = async (work: Promise<unknown>) => await work.catch(() => undefined);
    if (state.status === 'uploading') {
      await asked(requestCommit(world.ports, { build: id, actor: 'ann', dropStrays: false }));
    } else if (state.status === 'ready') {
      await asked(requestPublish(world.ports, { build: id, actor: 'ann', caller: 'ann' }));
    } else if (state.status !== 'committing' && state.status !== 'validating') {
      throw new Error(`The build is ${state.status}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function jobsOpen(world: BuildsService): Promise<readonly Job[]> {
  return (await world.stores.records.list<Job>({ partition: openJobs, index: 'open' })).items.map(({ value }) => value);
}

/** Everything that a publication leads to, as often as it happened. */
async function happened(world: BuildsService, artifact: string) {
  const environments = ['dev', 'beta'];
  const records = world.stores.records;
  const pointers = await Promise.all(
    environments.map(async (environment) => await readPointer(records, { app: 'web', environment })),
  );
  const deployments = await Promise.all(environments.map(async (environment) => await world.deployments(environment)));
  return {
    pointers: pointers.map(({ history }) => history.filter((entry) => entry.artifact === artifact).length),
    deployments: deployments.map((list) =>
      list.filter((one) => one.artifact === artifact).map(({ state }) => state.status),
    ),
    hooks: new Set(
      world.calls.filter(({ body }) => body.includes(artifact)).map(({ headers }) => headers['webhook-id']),
    ).size,
  };
}

let world: BuildsService;

/** How many points were passed, and whether it was killed at the one that was asked for. */
async function deliver(text: string, point?: KillPoint): Promise<{ passed: number; wasKilled: boolean }> {
  const made = bundle(text);
  const id = await world.create('web');
  await world.upload(id, [made]);
  await world.ref(id, made.hex);
  if (point) world.death.killAt(point);
  const before = world.death.points();
  await world.death.live(async () => {
    await bring(world, id);
    if (point?.fails) world.pass(61_000);
    await world.calm();
  });
  const passed = world.death.points() - before;
  const wasKilled = point !== undefined && !world.death.isWaiting();
  if (wasKilled && !point.fails) {
    await world.loseWorkflow();
    // What was made and not claimed is let alone for a minute: its maker might be at it.
    world.pass(61_000);
    await world.death.live(async () => {
      await reconcile(world.ports);
      await bring(world, id);
      await world.calm();
    });
  }
  world.death.spare();
  await until(
    async () => await happened(world, `sha256:${made.hex}`),
    ({ deployments }) => deployments.every((list) => list.length > 0),
  );
  await world.calm();
  expect([point, await happened(world, `sha256:${made.hex}`)]).toEqual([
    point,
    { pointers: [1, 1], deployments: [['succeeded'], ['succeeded']], hooks: 1 },
  ]);
  const { state, published, checks, artifact } = await world.build(id);
  expect([state.status, published.status, checks.map(({ outcome }) => outcome.status)]).toEqual([
    'ready',
    'published',
    ['passed'],
  ]);
  const { entries } = await readManifest(world.store.objects, artifact!.manifest);
  const blobs = await world.blobs();
  expect([...entries.values()].filter(({ digest }) => !blobs.has(digest))).toEqual([]);
  expect(await jobsOpen(world)).toEqual([]);
  for (const repo of ['dev', 'beta']) {
    const lane = await readLane(world.stores.records, jobLane({ work: { kind: 'republish' }, app: 'web', repo })!);
    expect([lane.active, lane.queue]).toEqual([undefined, []]);
  }
  return { passed, wasKilled };
}

describe('a process that is killed', () => {
  // Each point is a write to the records or the objects. After one is before the next, but for what goes on beside it.
  it('at any of its writes leaves nothing half, nothing twice, and nothing undone', { timeout: 480_000 }, async () => {
    world = await service(withAll);
    const { passed } = await deliver('unharmed');
    expect(passed).toBeGreaterThan(40);
    let killed = 0;
    let tried = 0;
    for (let at = 1; at <= passed; at += everyPoint) {
      tried += 1;
      const { wasKilled } = await deliver(`killed at ${at}`, { at, when: at % 2 === 0 ? 'before' : 'after' });
      if (wasKilled) killed += 1;
    }
    // The number of writes differs a little with what meets.
    expect(killed).toBeGreaterThan(tried * 0.75);
  });
});

describe('a store that fails once', () => {
  it(
    'leaves nothing half and nothing twice, whether or not what was asked of it was done',
    { timeout: 240_000 },
    async () => {
      world = await service(withAll);
      const { passed } = await deliver('unharmed');
      for (let at = 1; at <= passed; at += everyPoint * 4) {
        for (const when of ['before', 'after'] as const)
          await deliver(`fails ${when} ${at}`, { at, when, fails: true });
      }
      expect(passed).toBeGreaterThan(40);
    },
  );
});

describe('the jobs of an app', () => {
  const committable = async (world: BuildsService, text: string, repo = 'dev') => {
    const made = bundle(text);
    const id = await world.create('web', repo);
    await world.upload(id, [made]);
    await world.ref(id, made.hex);
    return { id, made };
  };
  const commit = async (world: BuildsService, build: number) =>
    await requestCommit(world.ports, { build, actor: 'ann', dropStrays: false });

  it('follow each other in one environment, and wait for none of another', async () => {
    const world = await service();
    const [first, second, other] = [
      await committable(world, 'first'),
      await committable(world, 'second'),
      await committable(world, 'other', 'test'),
    ];
    const held = Promise.withResolvers<void>();
    world.outside.beforeObject = async (operation, argument) => {
      if (operation === 'read' && argument === `sha256:${first.made.hex}`) await held.promise;
    };
    const [one, two] = [await commit(world, first.id), await commit(world, second.id)];
    const three = await commit(world, other.id);
    expect((await world.ended(three.id)).state.status).toBe('ended');
    expect([
      (await getJob(world.ports.records, one.id)).state,
      (await getJob(world.ports.records, two.id)).state,
    ]).toEqual([{ status: 'started' }, { status: 'new' }]);
    expect((await world.build(second.id)).state.status).toBe('committing');
    held.resolve();
    expect((await world.ended(one.id)).state.status).toBe('ended');
    expect((await world.ended(two.id)).state.status).toBe('ended');
  });

  it('are not held up by a check, or by a hook that nobody answers', async () => {
    const world = await service(withAll);
    world.script.build = ({ spec }) => (spec.work.kind === 'check' ? 'never' : 'succeeded');
    world.outside.send = () => 500;
    const [first, second] = [await committable(world, 'checked'), await committable(world, 'checked too')];
    await world.commit(first.id);
    expect((await world.build(first.id)).state.status).toBe('validating');
    await world.commit(second.id);
    const validating = await Promise.all([first, second].map(async ({ id }) => (await world.build(id)).state.status));
    expect(validating).toEqual(['validating', 'validating']);
    world.builder.release();
    for (const { id } of [first, second]) {
      await until(
        async () => (await world.build(id)).state.status,
        (status) => status === 'ready',
      );
      expect((await world.publish(id)).state.status).toBe('ended');
    }
    const hooks = (await jobsOpen(world)).filter(({ work }) => work.kind === 'hook');
    expect(hooks.length).toBe(2);
  });

  it('are told apart where two numbers are the same', async () => {
    const world = await service();
    const [made, other] = [await committable(world, 'a number'), await committable(world, 'the same', 'test')];
    const ids = ['same', 'same', 'another'];
    const ports = { ...world.ports, newId: () => ids.shift() ?? world.ports.newId() };
    const first = await requestCommit(ports, { build: made.id, actor: 'ann', dropStrays: false });
    const second = await requestCommit(ports, { build: other.id, actor: 'ann', dropStrays: false });
    expect([first.id, second.id]).toEqual([numberOf('same'), numberOf('another')]);
    expect((await world.ended(first.id)).state.status).toBe('ended');
    expect((await world.ended(second.id)).state.status).toBe('ended');
  });

  it('follow each from its own cause, also where two causes lead to one number', async () => {
    const world = await service();
    const [one, other] = collision();
    expect(numberOf(`${one}/0`)).toBe(numberOf(`${other}/0`));
    const wanted = { work: { kind: 'republish' }, app: 'web', repo: 'dev', createdBy: 'ann' } as const;
    const made = await Promise.all(
      [one, other, one, other].map(async (seed) => await makeJob(world.ports, seed, wanted)),
    );
    expect(made.map(({ seed }) => seed)).toEqual([one, other, one, other]);
    expect(made[0]?.id).toBe(made[2]?.id);
    expect(made[1]?.id).toBe(made[3]?.id);
    expect(new Set(made.map(({ id }) => id)).size).toBe(2);
    expect((await jobOfSeed(world.ports, other, wanted)).id).toBe(made[1]?.id);
  });

  it('are not begun before what they are for is claimed, and go where their maker was lost before that', async () => {
    const world = await service();
    const { id } = await committable(world, 'claimed late');
    const wanted = {
      work: { kind: 'commit', build: id, dropStrays: false },
      app: 'web',
      repo: 'dev',
      createdBy: 'ann',
    } as const;
    const claimed = Promise.withResolvers<void>();
    const made = Promise.withResolvers<Job>();
    const claiming = claimByJob(world.ports, wanted, async (job) => {
      made.resolve(job);
      await claimed.promise;
      throw new Problem('conflict', 'The maker is lost');
    }).catch(() => 'lost');
    const job = await made.promise;
    await reconcile(world.ports);
    expect((await getJob(world.ports.records, job.id)).state.status).toBe('new');
    world.pass(61_000);
    await reconcile(world.ports);
    expect((await world.ended(job.id)).state).toMatchObject({ status: 'broken' });
    // The build was never its own: it is committed as ever.
    expect((await world.commit(id)).state.status).toBe('ended');
    claimed.resolve();
    expect(await claiming).toBe('lost');
    expect(await findJob(world.ports.records, job.id)).toBeUndefined();
  });

  it('go on where a claim succeeded and only its answer was lost', async () => {
    const world = await service();
    const { id } = await committable(world, 'answer lost');
    const { records } = world.ports;
    const replace: typeof records.replace = async (stored, value, options) => {
      const replaced = await records.replace(stored, value, options);
      if (stored.key.partition === `upload/${id}`) throw new Error('socket hang up');
      return replaced;
    };
    const ports = {
      ...world.ports,
      records: { ...plainRecords(records), replace },
    };
    const request = requestCommit(ports, { build: id, actor: 'ann', dropStrays: false });
    await expect(request).rejects.toThrow('socket hang up');
    const { state, commitJobId } = await world.build(id);
    expect(state.status).toBe('committing');
    await reconcile(world.ports);
    expect((await world.ended(commitJobId!)).state.status).toBe('ended');
    expect((await world.build(id)).state.status).toBe('ready');
  });

  it('end and say so when their work breaks again and again, and what they were for is open again', async () => {
    const world = await service();
    const { id } = await committable(world, 'breaks');
    world.outside.beforeObject = (operation) => {
      if (operation === 'read') throw new Error('The disk is on fire');
    };
    const { id: jobId } = await commit(world, id);
    await until(
      async () => (await getJob(world.ports.records, jobId)).state.status,
      (status) => status === 'started',
    );
    await world.loseWorkflow();
    const error = { Error: 'Error', Cause: JSON.stringify({ errorMessage: 'The disk is on fire' }) };
    await runStep(world.ports, { step: 'break-job', jobId: String(jobId), error } as { step: string });
    const job = await world.ended(jobId);
    expect(job.state).toMatchObject({ status: 'broken', reason: 'The disk is on fire' });
    expect((await world.build(id)).state).toEqual({ status: 'uploading', reason: 'The disk is on fire' });
    world.outside.beforeObject = () => {};
    expect((await world.commit(id)).state.status).toBe('ended');
  });

  it('publish each build once when all are asked for at once, with one deployment each', async () => {
    const world = await service();
    const builds = [];
    for (const text of ['a', 'b', 'c']) builds.push(await world.committedBundle(text));
    const jobs = await Promise.all(
      builds.map(async (build) => await requestPublish(world.ports, { build, actor: 'ann', caller: 'ann' })),
    );
    for (const { id } of jobs) expect((await world.ended(id)).state.status).toBe('ended');
    await world.calm();
    const { history } = await readPointer(world.ports.records, { app: 'web', environment: 'dev' });
    expect(history.length).toBe(3);
    expect(new Set(history.map(({ jobId }) => jobId))).toEqual(new Set(jobs.map(({ id }) => id)));
    expect((await world.deployments('dev')).length).toBe(3);
  });
});

describe('the log of a check', () => {
  it('tells what its runs print as they print it, and moves nothing that was told before', async () => {
    const world = await service();
    const wanted = {
      work: {
        kind: 'check',
        build: 1,
        runs: 0,
        settings: { name: 'lint', required: true, reviewable: false, timeoutMinutes: 10 },
      },
      app: 'web',
      repo: null,
      createdBy: 'ann',
    } as const;
    const job = await makeJob(world.ports, 'a check', wanted);
    const printed = new Map<string, string[]>();
    const builder = {
      logs: async (run: string) => ({
        lines: (printed.get(run) ?? []).map((text) => ({ at: 1, phase: 'check', text })),
        next: '0',
        done: true,
      }),
    };
    const told = [''];
    const look = async (now: Partial<Job> = {}) => void told.push(await jobLog({ builder }, { ...job, ...now }));
    printed.set(checkRunId(job.id, 0), ['caf\u00e9 \u2019quoted\u2019']);
    await look();
    printed.get(checkRunId(job.id, 0))!.push('more');
    await look();
    printed.set(checkRunId(job.id, 1), ['once more']);
    const again: Job['work'] = { ...wanted.work, runs: 1 };
    await look({ work: again });
    await look({ work: again, logAfter: 'The check is passed\n' });
    for (const [index, log] of told.slice(1).entries()) expect(log.startsWith(told[index] ?? '')).toBe(true);
    expect(told.at(-1)).toBe("caf? 'quoted'\nmore\nonce more\nThe check is passed\n");
  });
});

/** Two causes whose jobs would have the same number. */
function collision(): readonly [string, string] {
  const seen = new Map<number, string>();
  for (let index = 0; ; index += 1) {
    const seed = `cause ${index}`;
    const other = seen.get(numberOf(`${seed}/0`));
    if (other !== undefined) return [other, seed];
    seen.set(numberOf(`${seed}/0`), seed);
  }
}
