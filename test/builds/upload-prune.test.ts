import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readManifest } from '../../functions/artifacts/manifest.ts';
import { readPointer } from '../../functions/artifacts/pointer.ts';
import { artifactsOf, findArtifact, forgetArtifact } from '../../functions/artifacts/store.ts';
import type { Job } from '../../functions/builds/job.ts';
import { whatToKeep } from '../../functions/builds/keep.ts';
import { missingObjects } from '../../functions/builds/present.ts';
import { requestPrune } from '../../functions/builds/prune.ts';
import { purgeBuild } from '../../functions/builds/purge.ts';
import { usedBytes } from '../../functions/builds/usage.ts';
import { reconcile } from '../../functions/deployments/reconcile.ts';
import { requestDeployment } from '../../functions/deployments/request.ts';
import type { Records } from '../../functions/ports/records.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { alone, blob, buildsService, bundle, image, type BuildsService } from '../support/builds-service.ts';
import { digestOf, makeLayer } from '../support/committed.ts';
import { chaosRuns, killEvery } from '../support/density.ts';
import { plainRecords } from '../support/records.ts';

const hour = 3_600_000;
let world: BuildsService;
beforeEach(async () => {
  world = await buildsService();
  await world.apply('web', alone);
});
afterEach(async () => await world.close());

async function prune(options: { dryRun?: boolean; app?: string; keepHours?: number } = {}): Promise<Job> {
  const { dryRun = false, keepHours = 24, app } = options;
  const wish = { dryRun, keepHours, ...(app === undefined ? {} : { app }) };
  return await world.ended((await requestPrune(world.ports, { prune: wish, repo: null, actor: 'ann' })).id);
}
const freedBy = ({ state }: Job) => (state.status === 'ended' ? state.results : state);
const digestOfBuild = async (id: number) => (await world.build(id)).artifact!.digest;
const artifactsOfApp = async (app = 'web') => {
  const found: string[] = [];
  for await (const { digest } of artifactsOf(world.ports.records, app)) found.push(digest);
  return found.sort();
};
async function published(text: string, place: { app?: string; repo?: string } = {}): Promise<number> {
  const id = await world.committedBundle(text, place);
  await world.publish(id);
  await world.calm();
  return id;
}
/** A day and more goes by. */
const age = () => world.pass(30 * hour);

describe('pruning', () => {
  it('frees what nothing names, and says so before and after', async () => {
    const kept = await published('kept');
    const gone = await world.committedBundle('gone');
    const open = await world.create('web');
    await world.upload(open, [blob('left in a purged build')]);
    await purgeBuild(world.ports, gone);
    await purgeBuild(world.ports, open);
    const digest = await digestOfBuild(gone);
    expect(await usedBytes(world.ports.records, 'web')).toBeGreaterThan(0);
    age();
    const before = await world.blobs();
    const job = await prune();
    expect(freedBy(job)).toMatchObject({ artifacts: 1, objects: 3 });
    expect(job.log).toContain('Will free 1 artifacts and 3 objects');
    expect(job.log).toContain(digest);
    expect(job.log).toContain('Freed 1 artifacts and 3 objects');
    const after = await world.blobs();
    expect(before.size - after.size).toBe(3);
    expect(after).not.toContain(digest);
    expect(await artifactsOfApp()).toEqual([await digestOfBuild(kept)]);
    const bundleBytes = bundle('kept').bytes.byteLength;
    expect(await usedBytes(world.ports.records, 'web')).toBe(bundleBytes);
    expect(freedBy(await prune())).toEqual({ artifacts: 0, objects: 0, bytes: 0 });
  });

  it('frees nothing on a dry run, and says the same', async () => {
    const gone = await world.committedBundle('gone');
    await purgeBuild(world.ports, gone);
    age();
    const before = await world.blobs();
    const dry = await prune({ dryRun: true });
    expect(await world.blobs()).toEqual(before);
    expect(await artifactsOfApp()).toHaveLength(1);
    expect(dry.log).toContain('Would free 1 artifacts and 2 objects');
    expect(freedBy(await prune())).toEqual(freedBy(dry));
  });

  it('leaves alone what is young, as nobody may have said yet what it is for', async () => {
    const id = await world.create('web');
    await world.upload(id, [blob('young')]);
    await purgeBuild(world.ports, id);
    expect(freedBy(await prune())).toEqual({ artifacts: 0, objects: 0, bytes: 0 });
    expect(await world.blobs()).toContain(digestOf('young'));
    world.pass(1000);
    expect(freedBy(await prune({ keepHours: 0 }))).toMatchObject({ objects: 1 });
  });

  it('never frees what an open build holds: whole, committed, or waiting for its checks', async () => {
    await world.apply('shop', {
      ...alone,
      environments: [{ name: 'dev', targets: [{ name: 'one' }], checks: [{ name: 'lint', command: 'true' }] }],
    });
    world.script.build = () => 'never';
    const filled = await world.create('web');
    await world.upload(filled, [blob('put into an open build')]);
    const ready = await world.committedBundle('committed, not published');
    const checked = await world.committedBundle('being checked', { app: 'shop' });
    expect((await world.build(checked)).state.status).toBe('validating');
    age();
    const before = await world.blobs();
    expect(freedBy(await prune({ keepHours: 0 }))).toEqual({ artifacts: 0, objects: 0, bytes: 0 });
    expect(await world.blobs()).toEqual(before);
    expect(await artifactsOfApp()).toEqual([await digestOfBuild(ready)]);
    world.builder.release();
  });

  it('never frees what a target runs, or what may be rolled back to', async () => {
    const builds = [await published('one'), await published('two'), await published('three')];
    for (const id of builds) await purgeBuild(world.ports, id);
    age();
    expect(freedBy(await prune({ keepHours: 0 }))).toMatchObject({ artifacts: 0, objects: 0 });
    expect((await artifactsOfApp()).length).toBe(3);
    const { history } = await readPointer(world.ports.records, { app: 'web', environment: 'dev' });
    for (const { artifact, manifest } of history) {
      expect(await world.blobs()).toContain(artifact);
      expect(await world.blobs()).toContain(manifest);
    }
  });

  it('never frees what is being deployed', async () => {
    const id = await world.committedBundle('deployed by hand');
    const digest = await digestOfBuild(id);
    world.script.fleet = () => ({ ends: 'never' });
    const request = { kind: 'artifact', digest } as const;
    const trigger = { kind: 'api', actor: 'ann' } as const;
    const { id: deployment } = await requestDeployment(world.ports, {
      app: 'web',
      environment: 'dev',
      request,
      trigger,
    });
    await world.reached(deployment, 'rolling');
    await purgeBuild(world.ports, id);
    age();
    expect(freedBy(await prune({ keepHours: 0 }))).toMatchObject({ artifacts: 0, objects: 0 });
    expect(await world.blobs()).toContain(digest);
    world.fleet.release();
    expect((await world.settled(deployment)).state.status).toBe('succeeded');
  });

  it('never frees blobs that another app’s artifact shares', async () => {
    await world.apply('shop', alone);
    const shared = await makeLayer({ shared: 'by both' });
    const images = ['web', 'shop'].map((name) => {
      const { made, objects } = image();
      const manifest = made.image([shared], { config: { Labels: { name } } });
      return { name, objects: objects(), hex: digestOf(manifest).slice(7) };
    });
    const ids: number[] = [];
    for (const { name, objects, hex } of images) {
      const id = await world.create(name);
      await world.upload(id, objects);
      await world.ref(id, hex, { ref: `app/${name}/x86_64/main` });
      await world.commit(id);
      ids.push(id);
    }
    await purgeBuild(world.ports, ids[0]!);
    age();
    expect(freedBy(await prune({ keepHours: 0 }))).toMatchObject({ artifacts: 1 });
    expect(await world.blobs()).toContain(digestOf(shared.bytes));
    expect(await artifactsOfApp('web')).toEqual([]);
    expect(await artifactsOfApp('shop')).toHaveLength(1);
    const build = await world.build(ids[1]!);
    const { entries } = await readManifest(world.store.objects, build.artifact!.manifest);
    const blobs = await world.blobs();
    for (const { digest } of entries.values()) expect(blobs).toContain(digest);
  });

  it('keeps what an environment has published of an artifact that another build has listed first', async () => {
    const made = bundle('the same, under two names');
    const builds: number[] = [];
    for (const [repo, ref] of [
      ['dev', 'app/web/x86_64/one'],
      ['test', 'app/web/x86_64/two'],
    ] as const) {
      const id = await world.create('web', repo);
      await world.upload(id, [made]);
      await world.ref(id, made.hex, { ref });
      await world.commit(id);
      await world.publish(id);
      builds.push(id);
    }
    await world.calm();
    for (const id of builds) await purgeBuild(world.ports, id);
    age();
    await prune({ keepHours: 0 });
    for (const repo of ['dev', 'test']) {
      const next = await world.create('web', repo);
      expect([repo, await missingObjects(world.ports, next, [made.name])]).toEqual([repo, []]);
    }
  });

  it('of one app forgets no artifact of another', async () => {
    await world.apply('shop', alone);
    const ids = [await world.committedBundle('of web'), await world.committedBundle('of shop', { app: 'shop' })];
    for (const id of ids) await purgeBuild(world.ports, id);
    age();
    expect(freedBy(await prune({ app: 'web' }))).toMatchObject({ artifacts: 1 });
    expect(await artifactsOfApp('shop')).toHaveLength(1);
    expect(await world.blobs()).toContain(await digestOfBuild(ids[1]!));
  });

  it('discards the images of the fleet that nothing runs, and keeps whole those that something does', async () => {
    const { made, objects } = image();
    const manifest = made.image([await makeLayer({ a: 'run, then not' })]);
    const id = await world.create('web');
    await world.upload(id, objects());
    await world.ref(id, digestOf(manifest).slice(7));
    await world.commit(id);
    const request = { kind: 'artifact', digest: digestOf(manifest) } as const;
    const trigger = { kind: 'api', actor: 'ann' } as const;
    world.script.fleet = () => ({ ends: 'failed', reason: 'unhealthy' });
    const { id: deployment } = await requestDeployment(world.ports, {
      app: 'web',
      environment: 'dev',
      request,
      trigger,
    });
    await world.settled(deployment);
    expect((await findArtifact(world.ports.records, 'web', digestOf(manifest)))?.reference).toContain('registry.test');
    await purgeBuild(world.ports, id);
    age();
    const discard = world.fleet.fleet.discard.bind(world.fleet.fleet);
    world.fleet.fleet.discard = async () => {
      throw new Problem('conflict', 'A container uses it');
    };
    expect(freedBy(await prune({ keepHours: 0 }))).toMatchObject({ artifacts: 0, objects: 0 });
    expect(await world.blobs()).toContain(digestOf(manifest));
    world.fleet.fleet.discard = discard;
    expect(freedBy(await prune({ keepHours: 0 }))).toMatchObject({ artifacts: 1 });
    expect(world.fleet.calls.filter((call) => call.startsWith('discard'))).toHaveLength(1);
    expect(await world.blobs()).not.toContain(digestOf(manifest));
  });

  it('sets right what an app is said to have, down to nothing', async () => {
    const id = await world.committedBundle('all there is');
    await purgeBuild(world.ports, id);
    age();
    await prune();
    expect(await usedBytes(world.ports.records, 'web')).toBe(0);
  });

  it('publishes nothing that was pruned: a check that had failed may be reviewed long after', async () => {
    const id = await world.committedBundle('pruned');
    const digest = await digestOfBuild(id);
    const { objects } = world.store;
    await objects.remove(digest);
    await forgetArtifact(world.ports.records, 'web', digest);
    const job = await world.publish(id);
    expect(job.state.status).toBe('broken');
    expect((await world.build(id)).published.status).toBe('failed');
    expect((await readPointer(world.ports.records, { app: 'web', environment: 'dev' })).history).toEqual([]);
  });
});

describe('what is kept', () => {
  it('holds what is published while it is looked for, at whatever moment', { timeout: 60_000 }, async () => {
    let reads = 0;
    /** Does something once, before the read of that number. */
    const lookWith = async (at: number, then: () => Promise<void>) => {
      reads = 0;
      const between = async () => {
        reads += 1;
        if (reads === at) await then();
      };
      const { records } = world.ports;
      const find: Records['find'] = async (key) => {
        await between();
        return await records.find(key);
      };
      const list: Records['list'] = async (query) => {
        await between();
        return await records.list(query);
      };
      const ports = { ...world.ports, records: { ...plainRecords(records), find, list } };
      return await whatToKeep(ports, { before: world.ports.clock() });
    };
    for (let at = 1; at === 1 || reads >= at - 1; at += 1) {
      await world.close();
      world = await buildsService();
      await world.apply('web', alone);
      const id = await world.committedBundle(`published before read ${at}`);
      const digest = await digestOfBuild(id);
      age();
      const kept = await lookWith(at, async () => {
        await world.publish(id);
        await world.calm();
      });
      expect([at, kept.artifacts.get('web')?.has(digest), kept.objects.has(digest)]).toEqual([at, true, true]);
    }
    expect(reads).toBeGreaterThan(5);
  });
});

describe('a pruning that is interrupted', () => {
  it('at any of its writes goes on when it is resumed, and lets uploads in again', { timeout: 120_000 }, async () => {
    const kept = await published('kept by its environment');
    for (let at = 1; ; at += killEvery(5)) {
      const gone = await world.committedBundle(`gone ${at}`);
      await purgeBuild(world.ports, gone);
      const digest = await digestOfBuild(gone);
      age();
      world.death.killAt({ at, when: at % 2 === 0 ? 'before' : 'after' });
      await world.death.live(async () => await prune({ keepHours: 0 }));
      const wasKilled = !world.death.isWaiting();
      world.death.spare();
      if (!wasKilled) {
        expect(at).toBeGreaterThan(10);
        break;
      }
      await world.loseWorkflow();
      world.pass(121_000);
      await world.death.live(async () => {
        await reconcile(world.ports);
        await world.calm();
      });
      const job = await prune({ keepHours: 0 });
      expect(job.state.status).toBe('ended');
      expect(await world.blobs()).not.toContain(digest);
      expect(await artifactsOfApp()).toEqual([await digestOfBuild(kept)]);
      const next = await world.create('web');
      expect(await world.upload(next, [blob('let in again')])).toEqual([12]);
      await purgeBuild(world.ports, next);
    }
  });

  it('or runs beside uploads loses nothing that was acknowledged', { timeout: 60_000 }, async () => {
    // The blobs are there, old, and named by nothing: just what a sweep is after, and an upload need not send again.
    const texts = Array.from({ length: 12 }, (_, index) => `wanted again ${index}`);
    for (let round = 0; round < 6; round += 1) {
      const old = await world.create('web');
      await world.upload(
        old,
        texts.map((text) => bundle(text)),
      );
      await purgeBuild(world.ports, old);
      age();
      const pruning = prune({ keepHours: 0 });
      const acknowledged = await Promise.all(
        texts.map(async (text, index) => {
          await new Promise((resolve) => setTimeout(resolve, index * 2));
          const made = bundle(text);
          const id = await world.create('web');
          for (;;) {
            const taken = await world.upload(id, [made]).then(
              () => true,
              (error: unknown) => {
                if (error instanceof Problem && error.kind === 'busy') return false;
                throw error;
              },
            );
            if (taken) return { id, made };
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
        }),
      );
      expect((await pruning).state.status).toBe('ended');
      const blobs = await world.blobs();
      for (const { made } of acknowledged) expect(blobs).toContain(`sha256:${made.hex}`);
      const [{ id, made } = { id: 0, made: bundle('') }] = acknowledged;
      await world.ref(id, made.hex);
      expect((await world.commit(id)).state.status).toBe('ended');
      for (const one of acknowledged) await purgeBuild(world.ports, one.id);
    }
  });

  it('or runs beside commits loses nothing of what they make', { timeout: 120_000 }, async () => {
    for (let round = 0; round < chaosRuns(3); round += 1) {
      const ids = await Promise.all(
        [0, 1, 2].map(async (index) => {
          const made = bundle(`beside a pruning ${index}`);
          const id = await world.create('web', index === 1 ? 'test' : 'dev');
          await world.upload(id, [made]);
          await world.ref(id, made.hex);
          return id;
        }),
      );
      age();
      const [job, ...commits] = await Promise.all([
        prune({ keepHours: 0 }),
        ...ids.map(async (id) => await world.commit(id)),
      ]);
      expect(job?.state.status).toBe('ended');
      expect(commits.map(({ state }) => state.status)).toEqual(['ended', 'ended', 'ended']);
      const blobs = await world.blobs();
      for (const id of ids) {
        const { artifact } = await world.build(id);
        expect(blobs).toContain(artifact!.digest);
        expect(blobs).toContain(artifact!.manifest);
        expect(await findArtifact(world.ports.records, 'web', artifact!.digest)).toBeDefined();
        await purgeBuild(world.ports, id);
      }
    }
  });
});
