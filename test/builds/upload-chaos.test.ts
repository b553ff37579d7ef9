import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readManifest } from '../../functions/artifacts/manifest.ts';
import { readPointer } from '../../functions/artifacts/pointer.ts';
import { requestCommit } from '../../functions/builds/commit.ts';
import { readContents } from '../../functions/builds/contents.ts';
import { openJobs } from '../../functions/builds/job-store.ts';
import type { Job } from '../../functions/builds/job.ts';
import { missingObjects } from '../../functions/builds/present.ts';
import { requestPrune } from '../../functions/builds/prune.ts';
import { requestPublish } from '../../functions/builds/publish.ts';
import { purgeBuild } from '../../functions/builds/purge.ts';
import type { PublishedState, UploadState } from '../../functions/builds/upload-build.ts';
import { reconcile } from '../../functions/deployments/reconcile.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { alone, blob, buildsService, bundle } from '../support/builds-service.ts';
import { chaosRuns } from '../support/density.ts';

const build = fc.nat(2);
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('upload' as const),
      build,
      objects: fc.uniqueArray(fc.nat(5), { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('ask' as const), build }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('commit' as const), build, dropStrays: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('publish' as const), build, caller: fc.constantFrom('ann', 'bob') }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('purge' as const), build }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('prune' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('kill' as const), at: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('look' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('breathe' as const), ms: fc.nat(12) }) },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

/** Where a build may go from each state, whatever is seen of it in between. */
const ways: Readonly<Record<UploadState['status'], readonly UploadState['status'][]>> = {
  uploading: ['uploading', 'committing', 'validating', 'ready', 'failed', 'purging', 'purged'],
  committing: ['committing', 'uploading', 'validating', 'ready', 'failed', 'purging', 'purged'],
  validating: ['validating', 'ready', 'failed', 'purging', 'purged'],
  ready: ['ready', 'purging', 'purged'],
  failed: ['failed', 'ready', 'purging', 'purged'],
  purging: ['purging', 'purged'],
  purged: ['purged'],
};
const publicWays: Readonly<Record<PublishedState['status'], readonly PublishedState['status'][]>> = {
  unpublished: ['unpublished', 'publishing', 'published', 'failed'],
  publishing: ['publishing', 'published', 'failed'],
  published: ['published'],
  failed: ['failed'],
};

/** What somebody is refused who comes too late, or too early. */
const refusals: readonly Problem['kind'][] = ['conflict', 'wrong-repo-state', 'wrong-published-state', 'busy'];

async function world() {
  const service = await buildsService();
  await service.apply('web', {
    ...alone,
    environments: [{ name: 'dev', targets: [{ name: 'one' }], checks: [{ name: 'lint', command: 'true' }] }],
  });
  const main = [0, 1, 2].map((index) => bundle(`the bundle of build ${index}`));
  const ids: number[] = [];
  for (const made of main) {
    const id = await service.create('web');
    await service.ref(id, made.hex);
    ids.push(id);
  }
  const acknowledged = new Map<number, Set<string>>(ids.map((id) => [id, new Set()]));
  const stateOf = new Map<number, [UploadState['status'], PublishedState['status']]>();
  const published = new Set<number>();

  async function see(): Promise<void> {
    for (const id of ids) {
      const { state, published: told } = await service.build(id);
      const [was, wasPublished] = stateOf.get(id) ?? [state.status, told.status];
      if (!ways[was].includes(state.status)) throw new Error(`${id} went from ${was} to ${state.status}`);
      if (!publicWays[wasPublished].includes(told.status))
        throw new Error(`${id} went from ${wasPublished} to ${told.status}`);
      stateOf.set(id, [state.status, told.status]);
    }
  }

  async function act(what: Action): Promise<void> {
    const id = 'build' in what ? ids[what.build]! : 0;
    switch (what.kind) {
      case 'upload': {
        // The first of the objects is the build's bundle, the others belong to nothing.
        const objects = what.objects.map((nth) => (nth === 0 ? main[what.build]! : blob(`stray ${nth}`)));
        await service.upload(id, objects);
        for (const { name } of objects) acknowledged.get(id)!.add(name);
        return;
      }
      case 'ask':
        await missingObjects(service.ports, id, [main[what.build]!.name, blob('stray 1').name]);
        return;
      case 'commit':
        await requestCommit(service.ports, { build: id, actor: 'ann', dropStrays: what.dropStrays });
        return;
      case 'publish':
        await requestPublish(service.ports, { build: id, actor: what.caller, caller: what.caller });
        published.add(id);
        return;
      case 'purge':
        await purgeBuild(service.ports, id);
        return;
      case 'prune':
        await requestPrune(service.ports, { prune: { dryRun: false, keepHours: 0 }, repo: null, actor: 'ann' });
        return;
      case 'kill':
        service.death.killAt({ at: what.at, when: what.at % 2 === 0 ? 'before' : 'after' });
        return;
      case 'look':
        await reconcile(service.ports);
        return;
      case 'breathe':
        await new Promise((resolve) => setTimeout(resolve, what.ms));
    }
  }
  return { service, ids, main, acknowledged, published, see, act };
}

/** Does all of it, each begun when the one before may not have ended, and a process after the other where one is killed. */
async function happens(actions: readonly Action[]): Promise<Awaited<ReturnType<typeof world>>> {
  const made = await world();
  const { service } = made;
  // Time is such that all that is stored is old: pruning leaves nothing alone for being young.
  service.pass(3_600_000);
  let lives = 0;
  const begun: Promise<unknown>[] = [];
  const live = async (living: Promise<string | undefined>): Promise<void> => {
    if ((await living) === 'done') return;
    // The first to see that the process is dead begins another one.
    const now = service.death.deaths();
    if (now === lives) return;
    lives = now;
    await service.loseWorkflow();
    service.pass(121_000);
    await service.death.live(async () => await reconcile(service.ports));
  };
  for (const what of actions) {
    const living = service.death.live(async () => {
      await made.act(what).catch((error: unknown) => {
        if (!(error instanceof Problem && refusals.includes(error.kind))) throw error;
      });
      return 'done';
    });
    begun.push(live(living));
    if (what.kind === 'breathe') await begun.at(-1);
    await made.see();
  }
  service.death.spare();
  await Promise.all(begun);
  await service.loseWorkflow();
  service.pass(121_000);
  await service.calm();
  await made.see();
  return made;
}

async function expectWhole({ service, ids, acknowledged, main }: Awaited<ReturnType<typeof world>>): Promise<void> {
  const blobs = await service.blobs();
  const { history } = await readPointer(service.stores.records, { app: 'web', environment: 'dev' });
  const deployments = await service.deployments('dev');
  for (const [index, id] of ids.entries()) {
    const { state, published, artifact } = await service.build(id);
    expect(['uploading', 'ready', 'failed', 'purged']).toContain(state.status);
    expect(['unpublished', 'published']).toContain(published.status);
    const { stored } = await readContents({ ...service.stores.records }, id);
    if (state.status === 'uploading') {
      // Strays may have been dropped by a commit that failed in the end, or that somebody else asked for.
      const bundleName = main[index]!.name;
      if (acknowledged.get(id)!.has(bundleName)) expect([...stored.keys()]).toContain(bundleName);
      for (const { digest } of stored.values()) expect(blobs).toContain(digest);
    }
    // Whoever is killed on the way into a build that was purged meanwhile leaves entries that nobody reads.
    if (state.status === 'purged' && service.death.deaths() === 0) expect(stored.size).toBe(0);
    if (state.status === 'ready' || published.status === 'published') {
      const { entries } = await readManifest(service.store.objects, artifact!.manifest);
      expect([...entries.keys()]).toEqual([main[index]!.name]);
      if (state.status === 'ready') for (const { digest } of entries.values()) expect(blobs).toContain(digest);
    }
    const times = history.filter((entry) => entry.build === id).length;
    expect([id, times]).toEqual([id, published.status === 'published' ? 1 : 0]);
    const digest = `sha256:${main[index]!.hex}`;
    expect(deployments.filter((one) => one.artifact === digest).map((one) => one.state.status)).toEqual(
      published.status === 'published' ? ['succeeded'] : [],
    );
    if (published.status === 'published') expect(blobs).toContain(digest);
  }
  const open = await service.stores.records.list<Job>({ partition: openJobs, index: 'open' });
  expect(open.items).toEqual([]);
}

it(
  'whatever is done to builds at once, and whoever dies, nothing acknowledged is lost and nothing is half',
  { timeout: 240_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 30 }), async (actions) => {
        const made = await happens(actions);
        try {
          await expectWhole(made);
        } finally {
          await made.service.close();
        }
      }),
      { numRuns: chaosRuns(5), endOnFailure: true },
    );
  },
);
