import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Revision, RolloutInput, TargetRef } from '../../../functions/ports/fleet.ts';
import type { LocalFleet } from '../../../local/fleet/fleet.ts';
import { findMarks } from '../../../local/process-tree.ts';
import { ended, freePort, policy, revisionOf, targetRef, until } from '../../support/fleet.ts';
import { makeFleet } from '../../support/local-fleet.ts';

describe('a fleet that comes back', () => {
  let data: string;
  let ref: TargetRef;
  let revision: (env: Record<string, string>, more?: Partial<Revision>) => Revision;
  const children: ChildProcess[] = [];
  const fleets: LocalFleet[] = [];
  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), 'sluice-recover-'));
    ref = targetRef({ listenPort: await freePort() });
    const { artifact } = await makeFleet({ data });
    revision = (env, more) => revisionOf(artifact, { env, ...more });
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await Promise.all(fleets.splice(0).map((fleet) => fleet.close()));
    // oxlint-disable-next-line vitest/no-standalone-expect -- it holds after every test
    expect(await marks()).toEqual([]);
    await rm(data, { recursive: true, force: true });
  });

  const marks = () => findMarks(`${createHash('sha256').update(data).digest('hex').slice(0, 16)}/`);
  const input = (revision: Revision, more: Partial<RolloutInput['policy']> = {}): RolloutInput => ({
    id: randomUUID(),
    revision,
    policy: { ...policy, ...more },
  });
  /** Runs rollouts in another process up to the line that a pattern fits. */
  const runUntil = async (rollouts: readonly RolloutInput[], pattern: RegExp) => {
    const work = JSON.stringify(rollouts.map((rollout) => ({ ref, rollout })));
    const program = new URL('../../support/fleet-child.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [program, data, work], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    for await (const line of createInterface(child.stdout)) if (pattern.test(line)) return child;
    throw new Error(`the fleet ended before it printed ${pattern}`);
  };
  const kill = async (child: ChildProcess) => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  const open = async () => {
    const { fleet } = await makeFleet({ data });
    fleets.push(fleet);
    await fleet.recover();
    return fleet;
  };
  const version = async () => {
    const answer = await fetch(`http://127.0.0.1:${ref.target.listenPort}/`);
    return ((await answer.json()) as { version: string }).version;
  };
  const serving = (fleet: LocalFleet, revision: Revision) =>
    until(
      async () =>
        (await fleet.view(ref)).tasks.filter((task) => task.state === 'serving').map((task) => task.revisionId),
      (ids) => ids.length === 2 && ids.every((id) => id === revision.id),
    );

  it('brings a target back to its revision after a kill, and leaves none of the tasks from before', async () => {
    const rollout = input(revision({ VERSION: 'one' }));
    const child = await runUntil([rollout], /^succeeded/);
    const before = await marks();
    expect(before).toHaveLength(2);
    await kill(child);
    const fleet = await open();
    await serving(fleet, rollout.revision);
    expect(await version()).toBe('one');
    const after = await marks();
    expect(after).toHaveLength(2);
    expect(after.filter((mark) => before.includes(mark))).toEqual([]);
    expect((await fleet.observeRollout(ref, rollout.id)).status).toBe('succeeded');
  });

  it('goes on with a rollout that was interrupted, after the stable revision has its full capacity', async () => {
    const first = input(revision({ VERSION: 'one' }));
    const second = input(revision({ VERSION: 'two', HEALTH_AFTER_MS: '700' }));
    await kill(await runUntil([first, second], new RegExp(`began ${second.id}`)));
    const fleet = await open();
    const seen: number[] = [];
    await until(
      async () => {
        const { counts, status } = await fleet.observeRollout(ref, second.id);
        if (counts.newStarting > 0) seen.push(counts.oldServing + counts.newServing);
        return status;
      },
      (status) => status === 'succeeded',
    );
    expect(Math.min(...seen)).toBeGreaterThanOrEqual(2);
    expect(await version()).toBe('two');
    await fleet.revertRollout(ref, second.id, 'the revision from before is still known');
    expect((await ended(fleet, ref, second.id)).status).toBe('reverted');
    expect(await version()).toBe('one');
  });

  it('goes on with the first rollout of a target', async () => {
    const rollout = input(revision({ VERSION: 'one', HEALTH_AFTER_MS: '700' }));
    await kill(await runUntil([rollout], /^began/));
    const fleet = await open();
    expect((await ended(fleet, ref, rollout.id)).status).toBe('succeeded');
  });

  it('goes on with a revert', async () => {
    const first = input(revision({ VERSION: 'one' }));
    const fleet = await open();
    await fleet.startRollout(ref, first);
    await ended(fleet, ref, first.id);
    const second = input(revision({ VERSION: 'two' }));
    await fleet.startRollout(ref, second);
    await ended(fleet, ref, second.id);
    await fleet.revertRollout(ref, second.id, 'undone');
    await fleet.close();
    const later = await open();
    expect(await ended(later, ref, second.id)).toMatchObject({ status: 'reverted', reason: 'undone' });
    expect(await version()).toBe('one');
  });

  it('keeps a scale by hand, and a revert before the start, over a restart', async () => {
    const fleet = await open();
    const rollout = input(revision({}));
    await fleet.startRollout(ref, rollout);
    await ended(fleet, ref, rollout.id);
    await fleet.scale(ref, 1);
    await fleet.revertRollout(ref, 'never-started', 'cancelled');
    await fleet.close();
    const later = await open();
    expect((await later.view(ref)).desiredCount).toBe(1);
    expect((await later.observeRollout(ref, 'never-started')).status).toBe('reverted');
  });

  it('drains before it closes, and answers nothing afterwards', async () => {
    const fleet = await open();
    const rollout = input(revision({ VERSION: 'one' }));
    await fleet.startRollout(ref, rollout);
    await ended(fleet, ref, rollout.id);
    const url = `http://127.0.0.1:${ref.target.listenPort}`;
    const slow = fetch(`${url}/slow?ms=700`);
    await until(
      async () => (await fleet.view(ref)).tasks,
      (tasks) => tasks.some((task) => task.inFlight === 1),
    );
    await fleet.close();
    expect((await slow).status).toBe(200);
    await expect(fetch(url)).rejects.toThrow('fetch failed');
    await expect(fleet.startRollout(ref, input(revision({})))).rejects.toMatchObject({ kind: 'busy' });
  });

  it('tries again to get a port that is taken when it comes back', async () => {
    const fleet = await open();
    const rollout = input(revision({ VERSION: 'one' }));
    await fleet.startRollout(ref, rollout);
    await ended(fleet, ref, rollout.id);
    await fleet.close();
    const taken = createServer((_req, res) => res.end('{"version":"somebody else"}')).listen(
      ref.target.listenPort,
      '127.0.0.1',
    );
    await once(taken, 'listening');
    const later = await open();
    await serving(later, rollout.revision);
    expect(await version()).toBe('somebody else');
    taken.close();
    taken.closeAllConnections();
    await once(taken, 'close');
    await until(
      () => version().catch(() => ''),
      (text) => text === 'one',
    );
  });

  it('ends what a retirement began before a kill, and removes bundles nobody needs', async () => {
    const fleet = await open();
    const rollout = input(revision({}));
    await fleet.startRollout(ref, rollout);
    await ended(fleet, ref, rollout.id);
    await fleet.close();
    const path = join(data, 'fleet', 'web.dev.site.json');
    await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), retired: true }));
    await writeFile(join(data, 'fleet', '.half-written'), '{');
    const later = await open();
    expect((await later.view(ref)).revision).toBeUndefined();
    expect(await readdir(join(data, 'fleet'))).toEqual(['logs']);
    expect(await readdir(join(data, 'work', 'bundles'))).toEqual([]);
  });
});
