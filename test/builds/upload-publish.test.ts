import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AppInput } from '../../functions/apps/schema.ts';
import { readPointer } from '../../functions/artifacts/pointer.ts';
import { reviewCheck } from '../../functions/builds/check.ts';
import { requestCommit } from '../../functions/builds/commit.ts';
import { requestPromotion } from '../../functions/builds/promote.ts';
import { requestPublish } from '../../functions/builds/publish.ts';
import { purgeBuild } from '../../functions/builds/purge.ts';
import { requestRepublish } from '../../functions/builds/republish.ts';
import { rollbackEnvironment } from '../../functions/deployments/rollback.ts';
import { cancelDeployment } from '../../functions/deployments/cancel.ts';
import type { Digest } from '../../functions/runtime/units.ts';
import {
  alone,
  blob,
  buildsService,
  bundle,
  chain,
  image,
  refusal,
  type BuildsService,
} from '../support/builds-service.ts';
import { digestOf, makeLayer } from '../support/committed.ts';
import { until } from '../support/scripted-cloud.ts';
import * as golden from './objects/ostree-golden.ts';

let world: BuildsService;
beforeEach(async () => {
  world = await buildsService();
  await world.apply('web', alone);
});
afterEach(async () => await world.close());

const ask = async (build: number, caller = 'ann') =>
  await requestPublish(world.ports, { build, actor: caller, caller });
const historyOf = async (environment: string, app = 'web') =>
  (await readPointer(world.ports.records, { app, environment })).history;
const digestOfBuild = async (id: number) => (await world.build(id)).artifact!.digest;
const statesOf = async (environment: string, app = 'web') =>
  (await world.deployments(environment, app)).map(({ state }) => state.status);

describe('a publication', () => {
  it('moves the environment’s pointer and deploys, and its job names the deployment', async () => {
    const id = await world.committedBundle('published');
    const job = await world.publish(id);
    const artifact = await digestOfBuild(id);
    const [deployment] = await world.deployments('dev');
    expect(job.state).toMatchObject({ status: 'ended', results: { artifact, deployment: deployment?.id } });
    expect(await historyOf('dev')).toMatchObject([{ artifact, build: id, jobId: job.id, by: 'ann', kind: 'bundle' }]);
    expect((await world.settled(deployment!.id)).state.status).toBe('succeeded');
    expect((await world.build(id)).published).toMatchObject({ status: 'published', jobId: job.id });
  });

  it('of an image brings it to the fleet first', async () => {
    const { made, objects } = image();
    const manifest = made.image([await makeLayer({ a: 'published image' })]);
    const id = await world.create('web');
    await world.upload(id, objects());
    await world.ref(id, digestOf(manifest).slice(7));
    await world.commit(id);
    await world.publish(id);
    await world.calm();
    const [deployment] = await world.deployments('dev');
    expect(deployment?.state.status).toBe('succeeded');
    expect(deployment?.revision?.artifact.reference).toBe(`registry.test/web@${digestOf(manifest)}`);
  });

  it('of what nothing runs moves the pointer, and deploys nothing', async () => {
    const { files, folders, dirmeta, commits } = golden;
    const id = await world.create('web');
    await world.upload(id, [...Object.values(files), ...Object.values(folders), dirmeta, commits.last]);
    const commit = commits.last.name.slice(0, 64);
    await world.ref(id, commit);
    await world.commit(id);
    const job = await world.publish(id);
    expect(job.state).toMatchObject({ results: { refs: { 'app/web/x86_64/main': commit } } });
    expect(await world.deployments('dev')).toEqual([]);
    expect(await historyOf('dev')).toMatchObject([{ kind: 'ostree' }]);
  });

  it('asked for twice by the same caller, also at once, is one job and one deployment', async () => {
    const id = await world.committedBundle('twice');
    const jobs = await Promise.all([ask(id), ask(id), ask(id)]);
    await world.ended(jobs[0].id);
    jobs.push(await ask(id));
    expect(new Set(jobs.map((job) => job.id)).size).toBe(1);
    await world.calm();
    expect((await world.deployments('dev')).length).toBe(1);
    expect((await historyOf('dev')).length).toBe(1);
  });

  it('asked for by two callers is the first one’s', async () => {
    const id = await world.committedBundle('two callers');
    const asked = await Promise.allSettled([ask(id, 'ann'), ask(id, 'bob')]);
    expect(asked.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    await world.calm();
    const problem = await refusal(ask(id, 'carol'));
    expect([problem.kind, problem.states]).toEqual([
      'wrong-published-state',
      { current: 'published', expected: 'unpublished' },
    ]);
    expect((await world.deployments('dev')).length).toBe(1);
  });

  it('is refused for a build that is not ready', async () => {
    const id = await world.create('web');
    const problem = await refusal(ask(id));
    expect([problem.kind, problem.states]).toEqual(['wrong-repo-state', { current: 'uploading', expected: 'ready' }]);
  });

  it('keeps its build from being purged while it is at it, and lets it go afterwards', async () => {
    const id = await world.committedBundle('purged');
    const held = Promise.withResolvers<void>();
    world.script.beforeStep = async () => await held.promise;
    const { id: job } = await ask(id);
    const problem = await refusal(purgeBuild(world.ports, id));
    expect([problem.kind, problem.message]).toEqual(['conflict', "Can't prune build while in use"]);
    held.resolve();
    await world.ended(job);
    expect((await purgeBuild(world.ports, id)).state.status).toBe('purged');
    expect((await purgeBuild(world.ports, id)).state.status).toBe('purged');
    await world.calm();
    expect(await statesOf('dev')).toEqual(['succeeded']);
    expect((await refusal(ask(await world.create('web')))).kind).toBe('wrong-repo-state');
  });

  it('waits in the environment’s lane for the deployment before it', async () => {
    world.script.fleet = () => ({ ends: 'never' });
    const [one, two] = [await world.committedBundle('one'), await world.committedBundle('two')];
    await world.publish(one);
    await until(
      async () => await statesOf('dev'),
      (states) => states[0] === 'rolling',
    );
    expect((await world.publish(two)).state.status).toBe('ended');
    expect((await statesOf('dev')).sort()).toEqual(['queued', 'rolling']);
    expect((await historyOf('dev')).map(({ build }) => build)).toEqual([two, one]);
    world.script.fleet = () => ({ ends: 'succeeded' });
    await world.calm();
    expect(await statesOf('dev')).toEqual(['succeeded', 'succeeded']);
  });

  it('whose deployment fails stays told as published, and the deployment tells the truth', async () => {
    const good = await world.committedBundle('good');
    await world.publish(good);
    await world.calm();
    world.script.fleet = () => ({ ends: 'failed', reason: 'unhealthy' });
    const bad = await world.committedBundle('bad');
    expect((await world.publish(bad)).state.status).toBe('ended');
    await world.calm();
    expect((await statesOf('dev'))[0]).toBe('rolled_back');
    const place = world.fleet.places.get('web/dev/one');
    expect(place?.revision?.artifact.digest).toBe(await digestOfBuild(good));
  });

  it('is refused where the environment was given a parent meanwhile', async () => {
    const id = await world.committedBundle('too late');
    await world.apply('web', {
      ...alone,
      environments: [
        { name: 'test', targets: [{ name: 'one' }] },
        { name: 'dev', parent: 'test', targets: [{ name: 'one' }] },
      ],
    });
    expect((await refusal(ask(id))).message).toContain('promote to it');
    expect((await world.build(id)).published.status).toBe('unpublished');
    expect((await refusal(world.create('web', 'dev'))).kind).toBe('conflict');
  });

  it('says at its build that it failed, where its environment is gone', async () => {
    const id = await world.committedBundle('nowhere');
    const held = Promise.withResolvers<void>();
    world.script.beforeStep = async () => await held.promise;
    const { id: job } = await ask(id);
    await world.apply('web', { ...alone, environments: [{ name: 'test', targets: [{ name: 'one' }] }] });
    held.resolve();
    expect((await world.ended(job)).state.status).toBe('broken');
    expect((await world.build(id)).published).toMatchObject({ status: 'failed' });
    expect(await historyOf('dev')).toEqual([]);
  });

  it('again deploys what was published, and moves nothing', async () => {
    const id = await world.committedBundle('again');
    const place = { app: 'web', environment: 'dev', actor: 'ann' };
    expect((await world.ended((await requestRepublish(world.ports, place)).id)).state.status).toBe('broken');
    await world.publish(id);
    await world.calm();
    const job = await world.ended((await requestRepublish(world.ports, place)).id);
    expect(job.state).toMatchObject({ status: 'ended', results: { artifact: await digestOfBuild(id) } });
    await world.calm();
    expect((await historyOf('dev')).length).toBe(1);
    expect((await world.deployments('dev')).length).toBe(2);
  });
});

describe('a promotion', () => {
  const promote = async (environment: string, artifact?: Digest) =>
    await requestPromotion(world.ports, { app: 'web', environment, actor: 'ann', artifact, seed: world.ports.newId() });
  const byHand: AppInput = {
    ...chain,
    environments: chain.environments.map((environment) =>
      environment.parent === undefined ? environment : { ...environment, promotion: 'manual' },
    ),
  };

  it('by itself brings what has succeeded down the whole chain, the very same artifact, once', async () => {
    await world.apply('web', chain);
    const id = await world.committedBundle('down the chain');
    await world.publish(id);
    await world.calm();
    const artifact = await digestOfBuild(id);
    for (const environment of ['dev', 'beta', 'stable']) {
      expect([environment, await statesOf(environment)]).toEqual([environment, ['succeeded']]);
      expect((await historyOf(environment)).map((entry) => entry.artifact)).toEqual([artifact]);
    }
    expect((await historyOf('stable'))[0]).toMatchObject({ from: 'beta', by: 'promotion of beta' });
    expect(world.builder.started).toEqual([]);
  });

  it('by itself brings down what nothing runs as well', async () => {
    await world.apply('web', chain);
    const { files, folders, dirmeta, commits } = golden;
    const id = await world.create('web');
    await world.upload(id, [...Object.values(files), ...Object.values(folders), dirmeta, commits.last]);
    await world.ref(id, commits.last.name.slice(0, 64));
    await world.commit(id);
    await world.publish(id);
    await world.calm();
    const artifact = await digestOfBuild(id);
    for (const environment of ['dev', 'beta', 'stable']) {
      expect((await historyOf(environment)).map((entry) => entry.artifact)).toEqual([artifact]);
      expect(await world.deployments(environment)).toEqual([]);
    }
  });

  it('by itself stops where a deployment fails', async () => {
    await world.apply('web', chain);
    world.script.fleet = ({ environment }) => ({ ends: environment === 'beta' ? 'failed' : 'succeeded' });
    await world.publish(await world.committedBundle('stops'));
    await world.calm();
    expect(await statesOf('beta')).toEqual(['rolled_back']);
    expect(await world.deployments('stable')).toEqual([]);
  });

  it('by itself follows no rollback, and no deployment that was cancelled', async () => {
    await world.apply('web', chain);
    await world.publish(await world.committedBundle('one'));
    await world.calm();
    await world.publish(await world.committedBundle('two'));
    await world.calm();
    expect((await world.deployments('beta')).length).toBe(2);
    await rollbackEnvironment(world.ports, { app: 'web', environment: 'dev', actor: 'ann' });
    await world.calm();
    expect((await world.deployments('dev')).length).toBe(3);
    expect((await world.deployments('beta')).length).toBe(2);
    world.script.fleet = () => ({ ends: 'never' });
    await world.publish(await world.committedBundle('cancelled'));
    const rolling = await until(
      async () => (await world.deployments('dev'))[0],
      (newest) => newest?.state.status === 'rolling',
    );
    await cancelDeployment(world.ports, { id: rolling!.id, actor: 'ann' });
    await world.settled(rolling!.id);
    await world.calm();
    expect((await world.deployments('beta')).length).toBe(2);
  });

  it('by hand brings what the parent runs, or has run', async () => {
    await world.apply('web', byHand);
    expect((await refusal(promote('beta'))).message).toContain('has not run anything yet');
    expect((await refusal(promote('dev'))).message).toContain('has no parent');
    const builds = [await world.committedBundle('first'), await world.committedBundle('second')];
    for (const id of builds) {
      await world.publish(id);
      await world.calm();
    }
    const [first, second] = await Promise.all(builds.map(digestOfBuild));
    const job = await world.ended((await promote('beta')).id);
    expect(job.state).toMatchObject({ status: 'ended', results: { artifact: second } });
    await world.calm();
    await world.ended((await promote('beta', first)).id);
    await world.calm();
    expect((await historyOf('beta')).map(({ artifact }) => artifact)).toEqual([first, second]);
    expect(await world.deployments('stable')).toEqual([]);
    expect((await refusal(promote('beta', `sha256:${'0'.repeat(64)}`))).kind).toBe('conflict');
  });

  it('by hand is refused for what was undone in the parent', async () => {
    await world.apply('web', byHand);
    world.script.fleet = () => ({ ends: 'failed', reason: 'unhealthy' });
    const id = await world.committedBundle('undone');
    await world.publish(id);
    await world.calm();
    expect((await refusal(promote('beta', await digestOfBuild(id)))).kind).toBe('conflict');
  });
});

describe('the checks of a build', () => {
  const checked = (...checks: NonNullable<AppInput['environments'][number]['checks']>): AppInput => ({
    ...alone,
    environments: [{ name: 'dev', targets: [{ name: 'one' }], checks }],
  });
  const ended = async (id: number, ...states: readonly string[]) =>
    await until(
      async () => await world.build(id),
      ({ state, checks }) =>
        states.includes(state.status) && checks.every(({ outcome }) => outcome.status !== 'pending'),
    );

  it('keep it from being published until all have passed', async () => {
    await world.apply('web', checked({ name: 'lint', command: 'true' }, { name: 'scan', image: 'scanner:1' }));
    world.script.build = () => 'never';
    const id = await world.committedBundle('checked');
    expect((await refusal(ask(id))).states).toEqual({ current: 'validating', expected: 'ready' });
    expect((await refusal(purgeBuild(world.ports, id))).kind).toBe('conflict');
    await until(
      async () => world.builder.started.length,
      (count) => count === 2,
    );
    world.builder.release();
    const build = await ended(id, 'ready');
    expect(build.checks.map(({ name, outcome }) => [name, outcome.status])).toEqual([
      ['lint', 'passed'],
      ['scan', 'passed'],
    ]);
    expect((await world.publish(id)).state.status).toBe('ended');
  });

  it.each([
    [{}, 'failed', 'failed'],
    [{ required: false }, 'ready', 'passed-with-warnings'],
    [{ reviewable: true }, 'validating', 'review-required'],
  ] as const)('that fail count as they are set: %j', async (settings, state, outcome) => {
    await world.apply('web', checked({ name: 'lint', command: 'false', ...settings }));
    world.script.build = () => 'failed';
    const id = await world.committedBundle(`fails ${state}`);
    const build = await ended(id, state);
    expect(build.checks[0]?.outcome).toMatchObject({ status: outcome });
    const job = await world.ended(build.checks[0]!.jobId);
    expect(job.state.status).toBe('ended');
    if (state === 'failed') {
      expect(build.state).toMatchObject({ reason: '1 out of 1 checks failed (lint)' });
      expect((await refusal(ask(id))).states).toEqual({ current: 'failed', expected: 'ready' });
      expect(
        (await refusal(requestCommit(world.ports, { build: id, actor: 'ann', dropStrays: false }))).states,
      ).toEqual({
        current: 'failed',
        expected: 'uploading',
      });
    }
  });

  it('wait for a person, who decides, and may decide otherwise later', async () => {
    await world.apply('web', checked({ name: 'lint', command: 'false', reviewable: true }));
    world.script.build = () => 'failed';
    const id = await world.committedBundle('reviewed');
    const { checks } = await ended(id, 'validating');
    const review = async (outcome: Parameters<typeof reviewCheck>[1]['outcome']) =>
      (await reviewCheck(world.ports, { job: checks[0]!.jobId, outcome, results: '{"seen":true}' })).state.status;
    expect(await review({ status: 'failed', reason: 'no' })).toBe('failed');
    expect(await review({ status: 'passed' })).toBe('ready');
    expect((await world.build(id)).checks[0]).toMatchObject({
      outcome: { status: 'passed' },
      results: '{"seen":true}',
    });
    expect((await world.publish(id)).state.status).toBe('ended');
    const commit = (await world.build(id)).commitJobId!;
    expect((await refusal(reviewCheck(world.ports, { job: commit, outcome: { status: 'passed' } }))).kind).toBe(
      'not-found',
    );
  });

  it('that lost their machine are run again, and fail when they lose it again and again', async () => {
    await world.apply('web', checked({ name: 'lint', command: 'true' }));
    let runs = 0;
    world.script.build = () => ((runs += 1) < 3 ? 'interrupted' : 'succeeded');
    const id = await world.committedBundle('interrupted');
    expect((await ended(id, 'ready')).checks[0]?.outcome.status).toBe('passed');
    expect(world.builder.started.map((run) => run.split('-').at(-1))).toEqual(['0', '1', '2']);
    world.script.build = () => 'interrupted';
    const again = await world.committedBundle('interrupted for ever');
    expect((await ended(again, 'failed')).checks[0]?.outcome).toMatchObject({ status: 'failed' });
  });

  it('are those that were set when it was committed', async () => {
    await world.apply('web', checked({ name: 'lint', command: 'true' }));
    world.script.build = () => 'never';
    const id = await world.committedBundle('settings changed');
    await world.apply('web', checked({ name: 'other', command: 'false' }));
    world.builder.release();
    await until(
      async () => {
        world.builder.release();
        return await world.build(id);
      },
      ({ state }) => state.status === 'ready',
    );
    expect((await world.build(id)).checks.map(({ name }) => name)).toEqual(['lint']);
  });

  it('are begun anew by another commit, after one that failed', async () => {
    await world.apply('web', checked({ name: 'lint', command: 'true' }));
    const made = bundle('second try');
    const id = await world.create('web');
    await world.upload(id, [made, blob('a stray')]);
    await world.ref(id, made.hex);
    expect((await world.commit(id)).state.status).toBe('broken');
    expect((await world.build(id)).checks).toEqual([]);
    expect((await world.commit(id, true)).state.status).toBe('ended');
    expect((await ended(id, 'ready')).checks).toHaveLength(1);
  });
});
