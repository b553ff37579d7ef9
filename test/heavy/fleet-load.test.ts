import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TargetRef } from '../../functions/ports/fleet.ts';
import { ended, freePort, policy, revisionOf, targetRef } from '../support/fleet.ts';
import { startLoad } from '../support/load.ts';
import { makeFleet, type MadeFleet } from '../support/local-fleet.ts';

describe('the fleet under load', () => {
  let data: string;
  let made: MadeFleet;
  let ref: TargetRef;
  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), 'sluice-load-'));
    made = await makeFleet({ data });
    await made.fleet.recover();
    ref = targetRef({ listenPort: await freePort() });
  });
  afterEach(async () => {
    await made.fleet.close();
    await rm(data, { recursive: true, force: true });
  });

  const roll = async (env: Record<string, string>) => {
    const health = { ...revisionOf(made.artifact).health, graceSeconds: 0.5 };
    const revision = revisionOf(made.artifact, { env, health });
    const rollout = { id: randomUUID(), revision, policy: { ...policy, drainSeconds: 20 } };
    await made.fleet.startRollout(ref, rollout);
    return { id: rollout.id, end: () => ended(made.fleet, ref, rollout.id) };
  };

  it('loses no request in 20 rolls in a row: forwards, backwards and broken ones', async () => {
    await (await roll({ VERSION: '0' })).end();
    const load = startLoad({
      url: `http://127.0.0.1:${ref.target.listenPort}`,
      requestsPerSecond: 600,
      posts: 4,
      slow: { clients: 10, path: '/slow?ms=3000' },
      streams: { clients: 5, path: '/sse?events=15&ms=200' },
      sockets: { clients: 5, path: '/ws', messages: 15 },
    });
    for (let round = 1; round <= 20; round++) {
      if (round % 4 === 3) {
        const broken = await roll({ VERSION: 'broken', HEALTH_STATUS: '500' });
        expect((await broken.end()).status).toBe('reverted');
      } else if (round % 4 === 0) {
        const back = await roll({ VERSION: `${round}` });
        await back.end();
        await made.fleet.revertRollout(ref, back.id, 'backwards');
        expect((await back.end()).status).toBe('reverted');
      } else {
        expect((await (await roll({ VERSION: `${round}` })).end()).status).toBe('succeeded');
      }
    }
    const result = await load.stop();
    console.log(JSON.stringify(result));
    expect(result.errors).toEqual([]);
    expect(result.lost).toBe(0);
    expect(result.kinds.quick.ok / result.seconds).toBeGreaterThanOrEqual(500);
    expect(result.kinds.socket.ok * result.kinds.stream.ok * result.kinds.slow.ok).toBeGreaterThan(0);
  });

  it('loses no request while it is scaled up and down', async () => {
    await (await roll({ VERSION: '0' })).end();
    const url = `http://127.0.0.1:${ref.target.listenPort}`;
    const load = startLoad({ url, requestsPerSecond: 600, posts: 4, slow: { clients: 4, path: '/slow?ms=1000' } });
    for (const count of [4, 1, 3, 1, 2]) {
      await made.fleet.scale(ref, count);
      await expect
        .poll(async () => (await made.fleet.view(ref)).tasks.filter((task) => task.state === 'serving').length, {
          timeout: 20_000,
        })
        .toBe(count);
    }
    const result = await load.stop();
    expect(result.errors).toEqual([]);
    expect(result.lost).toBe(0);
  });

  it('loses nothing of a flood of 2,500 requests a second', async () => {
    await (await roll({ VERSION: '0' })).end();
    const load = startLoad({ url: `http://127.0.0.1:${ref.target.listenPort}`, requestsPerSecond: 2500 });
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const { kinds, seconds, latency, lost } = await load.stop();
    console.log(JSON.stringify({ perSecond: Math.round(kinds.quick.ok / seconds), latency }));
    expect(lost).toBe(0);
    expect(kinds.quick.ok).toBe(kinds.quick.sent);
  });
});
