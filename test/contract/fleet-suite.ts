import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Artifact } from '../../functions/artifacts/artifact.ts';
import type { Revision, RolloutInput, TargetRef } from '../../functions/ports/fleet.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import type { Fleet } from '../../functions/ports/fleet.ts';
import { bundleArtifact, ended, policy, revisionOf, until } from '../support/fleet.ts';

export type FleetUnderTest = {
  readonly fleet: Fleet;
  /** The app of `test/fixtures/app`, as an artifact this fleet can run. */
  readonly artifact: Artifact;
  /** One it cannot run. */
  readonly refusedArtifact: Artifact;
  /** A target nothing runs on yet. */
  readonly newTarget: (more?: Partial<TargetRef['target']>) => Promise<TargetRef>;
  /** An image of its own at each call, and whether the fleet still has it; left out where there are no images. */
  readonly newImage?: () => Promise<{ readonly artifact: Artifact; readonly isThere: () => Promise<boolean> }>;
  /** Where a target is reached. */
  readonly urlOf: (ref: TargetRef) => string;
  readonly dispose: () => Promise<void>;
};

/** What differs between the places where services run, each with the reason why a test is skipped there. */
export type FleetPlace = {
  /** Tasks are real: they answer requests and print. Without: no test that needs HTTP traffic or output. */
  readonly hasRealTasks: boolean;
  /**
   * The target is the fleet's own: nothing runs there before its first rollout, and the app says how many tasks it has.
   * Without: the app's stack owns the service, its first tasks and its number.
   */
  readonly ownsTargets: boolean;
  /** It has images, and not bundles alone. */
  readonly hasImages: boolean;
  readonly reasons: { readonly unhealthy: RegExp; readonly crashed: RegExp };
};

export const thisMachine: FleetPlace = {
  hasRealTasks: true,
  ownsTargets: true,
  hasImages: false,
  reasons: {
    unhealthy: /2 tasks in a row failed; the last one did not become healthy .*answered 500/,
    crashed: /exited with code 7 before it was healthy/,
  },
};

type Rolling = { env?: Record<string, string>; revision?: Partial<Revision>; policy?: Partial<RolloutInput['policy']> };

/** What every implementation of the Fleet port does. */
export function fleetSuite(
  name: string,
  make: () => Promise<FleetUnderTest>,
  { hasRealTasks, ownsTargets, hasImages, reasons }: FleetPlace = thisMachine,
): void {
  describe(`Fleet: ${name}`, () => {
    let under: FleetUnderTest;
    let ref: TargetRef;
    beforeEach(async () => {
      under = await make();
      ref = await under.newTarget();
    });
    afterEach(async () => {
      await under.fleet.retire(ref);
      await under.dispose();
    });

    const input = (more: Rolling = {}): RolloutInput => ({
      id: randomUUID(),
      revision: revisionOf(under.artifact, { env: more.env ?? {}, ...more.revision }),
      policy: { ...policy, ...more.policy },
    });
    const roll = async (more: Rolling = {}) => {
      const rollout = input(more);
      await under.fleet.startRollout(ref, rollout);
      return { rollout, end: await ended(under.fleet, ref, rollout.id) };
    };
    const version = async () => ((await (await fetch(under.urlOf(ref))).json()) as { version: string }).version;
    /** What is served is asked where there is somebody to answer. */
    const expectVersion = async (expected: string) => expect(hasRealTasks ? await version() : expected).toBe(expected);
    const broken = { HEALTH_STATUS: '500', VERSION: 'broken' };
    const soonUnhealthy = { health: { ...revisionHealth, graceSeconds: 0.5 } };

    it('brings the first revision to the wanted number of serving tasks', async () => {
      const { rollout, end } = await roll({ env: { VERSION: 'one' } });
      expect(end).toMatchObject({ status: 'succeeded', reason: '' });
      expect(end.counts).toEqual({ desired: 2, newServing: 2, newStarting: 0, oldServing: 0, draining: 0, failed: 0 });
      const view = await under.fleet.view(ref);
      expect(view.revision).toEqual(rollout.revision);
      expect(view.desiredCount).toBe(2);
      expect(view.tasks.map((task) => task.state)).toEqual(['serving', 'serving']);
      await expectVersion('one');
    });

    it('replaces a revision by the next, and leaves none of the old', async () => {
      await roll({ env: { VERSION: 'one' } });
      const { rollout } = await roll({ env: { VERSION: 'two' } });
      const { tasks } = await under.fleet.view(ref);
      expect(tasks.map((task) => task.revisionId)).toEqual([rollout.revision.id, rollout.revision.id]);
      await expectVersion('two');
    });

    it.runIf(hasRealTasks)('serves with the old revision until the new one is healthy', async () => {
      await roll({ env: { VERSION: 'one' } });
      const rollout = input({ env: { VERSION: 'two', HEALTH_AFTER_MS: '1000' } });
      await under.fleet.startRollout(ref, rollout);
      const seen: { oldServing: number; newServing: number; version: string }[] = [];
      await until(
        async () => {
          const { counts, status } = await under.fleet.observeRollout(ref, rollout.id);
          seen.push({ ...counts, version: await version() });
          return status;
        },
        (status) => status !== 'in_progress',
      );
      expect(seen.every(({ oldServing, newServing }) => oldServing + newServing >= 2)).toBe(true);
      expect(seen[0]?.version).toBe('one');
      expect(seen.some(({ newServing }) => newServing === 0)).toBe(true);
    });

    it('puts the old revision back when the new one never becomes healthy', async () => {
      await roll({ env: { VERSION: 'one' } });
      const before = (await under.fleet.view(ref)).tasks.map((task) => task.id);
      const { end } = await roll({ env: broken, revision: soonUnhealthy });
      expect(end.status).toBe('reverted');
      expect(end.reason).toMatch(reasons.unhealthy);
      expect(end.counts).toMatchObject({ desired: 2, oldServing: 2, newServing: 0, newStarting: 0, draining: 0 });
      expect((await under.fleet.view(ref)).tasks.map((task) => task.id)).toEqual(before);
      await expectVersion('one');
    });

    it('puts the old revision back when new tasks exit, and says how they ended', async () => {
      const { rollout } = await roll({ env: { VERSION: 'one' } });
      const { end } = await roll({ env: { CRASH_AFTER_MS: '0', CRASH_CODE: '7', HEALTH_STATUS: '500' } });
      expect(end).toMatchObject({ status: 'reverted' });
      expect(end.reason).toMatch(reasons.crashed);
      expect(end.counts.failed).toBeGreaterThanOrEqual(2);
      expect((await under.fleet.view(ref)).revision).toEqual(rollout.revision);
    });

    it.runIf(hasRealTasks)(
      'turns back a revision whose tasks become healthy and die, one after the other',
      async () => {
        await roll({ env: { VERSION: 'one' } });
        // Each old task has an answer to finish, so the rollout is still on when the new ones die.
        const slow = [1, 2].map(() => fetch(`${under.urlOf(ref)}/slow?ms=8000`));
        await until(
          () => under.fleet.view(ref),
          ({ tasks }) => tasks.every((task) => task.inFlight === 1),
        );
        const { end } = await roll({
          env: { VERSION: 'two', CRASH_AFTER_MS: '300' },
          policy: { drainSeconds: 20 },
        });
        expect(end.status).toBe('reverted');
        expect(end.reason).toMatch(/2 tasks in a row failed; the last one exited with code 1/);
        expect(end.counts).toMatchObject({ oldServing: 2, newServing: 0 });
        expect((await Promise.all(slow)).map((answer) => answer.status)).toEqual([200, 200]);
        await expectVersion('one');
      },
    );

    it.runIf(ownsTargets)('ends with nothing running when the first revision of a target fails', async () => {
      const { end } = await roll({ env: broken, revision: soonUnhealthy });
      expect(end.status).toBe('reverted');
      expect(await under.fleet.view(ref)).toMatchObject({ revision: undefined, tasks: [] });
    });

    it('turns back a rollout that takes longer than its time limit', async () => {
      await roll({ env: { VERSION: 'one' } });
      const { end } = await roll({ env: broken, policy: { timeLimitSeconds: 1 } });
      expect(end).toMatchObject({ status: 'reverted' });
      expect(end.reason).toMatch(/0 of 2 tasks served after 1 s/);
    });

    it('reverts a rollout in the middle, and tells the reason it was given', async () => {
      await roll({ env: { VERSION: 'one' } });
      const rollout = input({ env: broken });
      await under.fleet.startRollout(ref, rollout);
      await until(
        () => under.fleet.observeRollout(ref, rollout.id),
        ({ counts }) => counts.newStarting === 2,
      );
      await under.fleet.revertRollout(ref, rollout.id, 'cancelled by a person');
      await under.fleet.revertRollout(ref, rollout.id, 'twice');
      const end = await ended(under.fleet, ref, rollout.id);
      expect(end).toMatchObject({ status: 'reverted', reason: 'cancelled by a person' });
      expect(end.counts).toMatchObject({ oldServing: 2, newStarting: 0, newServing: 0 });
    });

    it('reverts a rollout that had succeeded', async () => {
      await roll({ env: { VERSION: 'one' } });
      const { rollout } = await roll({ env: { VERSION: 'two' } });
      await under.fleet.revertRollout(ref, rollout.id, 'an alarm rang');
      expect((await under.fleet.observeRollout(ref, rollout.id)).status).toBe('failed');
      const end = await ended(under.fleet, ref, rollout.id);
      expect(end).toMatchObject({ status: 'reverted', reason: 'an alarm rang' });
      expect(end.counts).toMatchObject({ oldServing: 2, newServing: 0, draining: 0 });
      await expectVersion('one');
    });

    it.runIf(ownsTargets)('reverts the first rollout of a target to nothing', async () => {
      const { rollout } = await roll();
      await under.fleet.revertRollout(ref, rollout.id, 'no more');
      expect((await ended(under.fleet, ref, rollout.id)).status).toBe('reverted');
      expect(await under.fleet.view(ref)).toMatchObject({ revision: undefined, tasks: [] });
    });

    it.runIf(ownsTargets)('counts a rollout never started as reverted, and does not start it later', async () => {
      const rollout = input();
      await under.fleet.revertRollout(ref, rollout.id, 'cancelled before it began');
      expect((await under.fleet.observeRollout(ref, rollout.id)).status).toBe('reverted');
      await under.fleet.startRollout(ref, rollout);
      expect((await under.fleet.observeRollout(ref, rollout.id)).status).toBe('reverted');
      expect((await under.fleet.view(ref)).tasks).toEqual([]);
    });

    it('lets a new rollout take over from a running one', async () => {
      await roll({ env: { VERSION: 'one' } });
      const stuck = input({ env: broken });
      await under.fleet.startRollout(ref, stuck);
      const { rollout, end } = await roll({ env: { VERSION: 'three' } });
      expect(end.status).toBe('succeeded');
      const { tasks } = await under.fleet.view(ref);
      expect(tasks.map((task) => task.revisionId)).toEqual([rollout.revision.id, rollout.revision.id]);
      const old = await under.fleet.observeRollout(ref, stuck.id);
      expect(old.status).toBe('revert_failed');
      expect(old.reason).toMatch(/took over/);
    });

    it('goes back to the last good revision when a rollout that took over fails', async () => {
      await roll({ env: { VERSION: 'one' } });
      await under.fleet.startRollout(ref, input({ env: broken }));
      const { end } = await roll({ env: broken, revision: soonUnhealthy });
      expect(end).toMatchObject({ status: 'reverted' });
      await expectVersion('one');
    });

    it('starts a rollout once, however often it is told to', async () => {
      const rollout = input();
      await Promise.all([1, 2, 3].map(() => under.fleet.startRollout(ref, rollout)));
      const end = await ended(under.fleet, ref, rollout.id);
      const before = (await under.fleet.view(ref)).tasks;
      await under.fleet.startRollout(ref, rollout);
      expect((await under.fleet.view(ref)).tasks.map((task) => task.id)).toEqual(before.map((task) => task.id));
      expect((await under.fleet.observeRollout(ref, rollout.id)).marker).toBe(end.marker);
    });

    it('rolls the same revision again without touching its tasks', async () => {
      const { rollout } = await roll();
      const before = (await under.fleet.view(ref)).tasks.map((task) => task.id);
      const { end } = await roll({ revision: rollout.revision });
      expect(end.status).toBe('succeeded');
      expect((await under.fleet.view(ref)).tasks.map((task) => task.id)).toEqual(before);
    });

    it.runIf(hasRealTasks)('replaces a task that crashes, and counts the failure', async () => {
      await roll({ env: { VERSION: 'one' } });
      await fetch(`${under.urlOf(ref)}/crash`, { method: 'POST' }).catch(() => {});
      const view = await until(
        () => under.fleet.view(ref),
        ({ failures, tasks }) => failures === 1 && tasks.filter((task) => task.state === 'serving').length === 2,
      );
      expect(view.lastFailure?.reason).toMatch(/exited with code 1/);
    });

    it('scales up and down, and keeps the number', async () => {
      await roll();
      const scaled = async (count: number) => {
        await under.fleet.scale(ref, count);
        await until(
          async () => (await under.fleet.view(ref)).tasks.map((task) => task.state),
          (states) => states.length === count && states.every((state) => state === 'serving'),
        );
      };
      for (const count of [4, 1, 0, 2]) await scaled(count);
      await under.fleet.scale(ref, 3);
      const { end } = await roll({ env: { VERSION: 'two' } });
      expect(end.counts).toMatchObject({ desired: 3, newServing: 3 });
    });

    it.runIf(ownsTargets)('takes the number of the app again when the app changes it', async () => {
      await roll();
      await under.fleet.scale(ref, 1);
      ref = { ...ref, target: { ...ref.target, desiredCount: 3 } };
      expect((await roll({ env: { VERSION: 'two' } })).end.counts.desired).toBe(3);
    });

    it('refuses what can be seen to be impossible', async () => {
      const before = await under.fleet.view(ref);
      const start = (more: Rolling) => under.fleet.startRollout(ref, input(more));
      const fixed = { minimumHealthyPercent: 100, maximumPercent: 100 };
      await expect(start({ policy: fixed })).rejects.toMatchObject({ name: 'Problem', kind: 'invalid' });
      const refused = { artifact: under.refusedArtifact };
      await expect(start({ revision: refused })).rejects.toMatchObject({ name: 'Problem', kind: 'unsupported' });
      expect(await under.fleet.refuses(under.refusedArtifact)).toEqual(expect.any(String));
      expect(await under.fleet.refuses(under.artifact)).toBeUndefined();
      expect(await under.fleet.view(ref)).toEqual(before);
    });

    it('does not know a rollout that was never started', async () => {
      await expect(under.fleet.observeRollout(ref, 'nobody')).rejects.toBeInstanceOf(Problem);
      await roll();
      await expect(under.fleet.observeRollout(ref, 'nobody')).rejects.toMatchObject({ kind: 'not-found' });
    });

    it('retires a target, known or not, and knows nothing of it afterwards', async () => {
      await under.fleet.retire(ref);
      const { rollout } = await roll();
      await under.fleet.retire(ref);
      await under.fleet.retire(ref);
      expect(await under.fleet.view(ref)).toMatchObject({ revision: undefined, tasks: [], desiredCount: 0 });
      await expect(under.fleet.observeRollout(ref, rollout.id)).rejects.toMatchObject({ kind: 'not-found' });
      const answer = hasRealTasks ? fetch(under.urlOf(ref)) : Promise.reject(new Error('fetch failed'));
      await expect(answer).rejects.toThrow('fetch failed');
    });

    it.runIf(hasImages)('discards an image, one that is gone too, and no other', async () => {
      const [one, other] = [await under.newImage?.(), await under.newImage?.()];
      if (!one || !other) throw new Error('there are no images');
      await under.fleet.discard(one.artifact);
      expect([await one.isThere(), await other.isThere()]).toEqual([false, true]);
      await under.fleet.discard(one.artifact);
      await under.fleet.discard(other.artifact);
      expect(await other.isThere()).toBe(false);
      await under.fleet.discard(other.artifact);
    });

    it('has nothing to do to discard what lies in Objects alone', async () => {
      const bundle = bundleArtifact(`sha256:${'b'.repeat(64)}`);
      await expect(under.fleet.discard(bundle)).resolves.toBeUndefined();
      await expect(under.fleet.discard({ ...bundle, kind: 'image', reference: '' })).resolves.toBeUndefined();
    });

    it('changes the marker with every change of what is observed', async () => {
      const rollout = input({ env: { HEALTH_AFTER_MS: '300' } });
      await under.fleet.startRollout(ref, rollout);
      const markers = new Map<string, string>();
      await until(
        async () => {
          const { marker, ...seen } = await under.fleet.observeRollout(ref, rollout.id);
          const text = JSON.stringify(seen);
          expect(markers.get(marker) ?? text).toBe(text);
          markers.set(marker, text);
          return seen.status;
        },
        (status) => status === 'succeeded',
      );
      expect(new Set(markers.values()).size).toBe(markers.size);
      expect(markers.size).toBeGreaterThan(1);
    });

    it.runIf(hasRealTasks)('keeps what tasks print, to be read page by page', async () => {
      await roll({ env: { VERSION: 'one', PRINT: 'hello\nworld' } });
      const first = await until(
        () => under.fleet.logs(ref, { limit: 3 }),
        ({ lines }) => lines.length === 3,
      );
      const all = await until(
        () => under.fleet.logs(ref),
        ({ lines }) => lines.length >= 6,
      );
      const rest = await under.fleet.logs(ref, { after: first.next });
      expect([...first.lines, ...rest.lines]).toEqual(all.lines);
      expect(all.lines.map((line) => line.text)).toEqual(
        expect.arrayContaining(['hello', 'world', 'version one listens']),
      );
      const ids = (await under.fleet.view(ref)).tasks.map((task) => task.id);
      expect(ids).toContain(all.lines[0]?.phase);
    });
  });
}

const revisionHealth = revisionOf({ kind: 'bundle' } as Artifact).health;
