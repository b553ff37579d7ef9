import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, createServer, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Revision, RolloutInput, TargetRef } from '../../../functions/ports/fleet.ts';
import { ended, freePort, policy, revisionOf, targetRef, until } from '../../support/fleet.ts';
import { makeFleet, type MadeFleet } from '../../support/local-fleet.ts';

type Rolling = { env?: Record<string, string>; revision?: Partial<Revision>; policy?: Partial<RolloutInput['policy']> };

describe('a rollout on this machine', () => {
  let data: string;
  let made: MadeFleet;
  let ref: TargetRef;
  let url: string;
  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), 'sluice-drain-'));
    made = await makeFleet({ data, waitMs: 500 });
    await made.fleet.recover();
    ref = targetRef({ listenPort: await freePort(), desiredCount: 1 });
    url = `http://127.0.0.1:${ref.target.listenPort}`;
  });
  afterEach(async () => {
    await made.fleet.close();
    await rm(data, { recursive: true, force: true });
  });

  const start = async (more: Rolling = {}) => {
    const revision = revisionOf(made.artifact, { env: more.env ?? {}, ...more.revision });
    const rollout: RolloutInput = { id: randomUUID(), revision, policy: { ...policy, ...more.policy } };
    await made.fleet.startRollout(ref, rollout);
    return rollout;
  };
  const roll = async (more: Rolling = {}) => ended(made.fleet, ref, (await start(more)).id);
  const tasks = async () => (await made.fleet.view(ref)).tasks;
  const draining = () => until(tasks, (all) => all.some((task) => task.state === 'draining'));
  const json = async (path: string, init?: RequestInit) =>
    (await (await fetch(url + path, init)).json()) as Record<string, unknown>;

  it('lets slow answers, event streams and WebSockets of old tasks finish, and gives them nothing new', async () => {
    await roll({ env: { VERSION: 'one' } });
    const slow = json('/slow?ms=1500');
    const stream = fetch(`${url}/sse?events=8&ms=200`).then((answer) => answer.text());
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`);
    await once(socket, 'open');
    await until(tasks, ([task]) => task?.inFlight === 3);
    const rollout = await start({ env: { VERSION: 'two' } });
    await draining();
    for (let index = 0; index < 10; index++) expect(await json('/')).toMatchObject({ version: 'two' });
    expect((await made.fleet.observeRollout(ref, rollout.id)).counts).toMatchObject({ draining: 1, newServing: 1 });
    socket.send('still there');
    const [message] = (await once(socket, 'message')) as [Buffer];
    expect(message.toString()).toMatch(/still there$/);
    expect(await slow).toMatchObject({ version: 'one' });
    expect(await stream).toMatch(/data: end\n\n$/);
    expect((await made.fleet.observeRollout(ref, rollout.id)).status).toBe('in_progress');
    socket.close();
    expect((await ended(made.fleet, ref, rollout.id)).status).toBe('succeeded');
  });

  it('cuts what is not finished when the drain time is over', async () => {
    await roll();
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`);
    const hanging = fetch(`${url}/hang`).catch((error: Error) => error);
    await once(socket, 'open');
    await until(tasks, ([task]) => task?.inFlight === 2);
    const closed = once(socket, 'close');
    expect((await roll({ policy: { drainSeconds: 0.3 } })).status).toBe('succeeded');
    await closed;
    expect(await hanging).toBeInstanceOf(Error);
  });

  it('kills a task that ignores SIGTERM when its time is over', async () => {
    await roll({ env: { IGNORE_TERM: '1' }, revision: { stopTimeoutSeconds: 0.3 } });
    expect((await roll({ env: { VERSION: 'two' } })).status).toBe('succeeded');
    const { lines } = await made.fleet.logs(ref);
    expect(lines.map((line) => line.text)).toContain('SIGTERM');
  });

  it('moves clients with kept-alive connections to other tasks', async () => {
    await roll({ env: { VERSION: 'one' } });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = async () => {
      const [res] = await once(get(`${url}/`, { agent }), 'response');
      let text = '';
      for await (const chunk of res) text += String(chunk);
      return { version: (JSON.parse(text) as { version: string }).version, socket: res.socket };
    };
    const before = await ask();
    await roll({ env: { VERSION: 'two' } });
    const after = await ask();
    expect([before.version, after.version]).toEqual(['one', 'two']);
    agent.destroy();
  });

  it('closes connections after their answer and refuses new requests at once when scaled to nothing', async () => {
    await roll();
    const slow = fetch(`${url}/slow?ms=500`);
    await until(tasks, ([task]) => task?.inFlight === 1);
    await made.fleet.scale(ref, 0);
    const refused = await fetch(url);
    expect([refused.status, refused.headers.get('connection')]).toEqual([503, 'close']);
    const answer = await slow;
    expect([answer.status, answer.headers.get('connection')]).toEqual([200, 'close']);
    await until(tasks, (all) => all.length === 0);
    await made.fleet.scale(ref, 1);
    expect((await fetch(url)).status).toBe(200);
  });

  it('keeps a sticky session with its task, and moves it when that drains', async () => {
    ref = { ...ref, target: { ...ref.target, desiredCount: 2 } };
    await roll({ env: { VERSION: 'one' }, policy: { stickySessions: true } });
    const first = await fetch(url);
    const cookie = first.headers.get('set-cookie')?.split(';')[0] ?? '';
    const { task } = (await first.json()) as { task: string };
    for (let index = 0; index < 6; index++) expect(await json('/', { headers: { cookie } })).toMatchObject({ task });
    await roll({ env: { VERSION: 'two' }, policy: { stickySessions: true } });
    const moved = await fetch(url, { headers: { cookie } });
    expect(await moved.json()).toMatchObject({ version: 'two' });
    expect(moved.headers.get('set-cookie')).toMatch(/^sluice_sticky=/);
  });

  it('takes a task that turns unhealthy out and replaces it', async () => {
    ref = { ...ref, target: { ...ref.target, desiredCount: 2 } };
    await roll();
    await fetch(`${url}/set-health?status=500`);
    const view = await until(
      () => made.fleet.view(ref),
      ({ failures, tasks }) => failures === 1 && tasks.length === 2 && tasks.every((task) => task.state === 'serving'),
    );
    expect(view.lastFailure?.reason).toMatch(/turned unhealthy \(GET \/health: it answered 500\)/);
  });

  it('fails with the reason when its port is taken, and leaves no task', async () => {
    const taken = createServer().listen(ref.target.listenPort, '127.0.0.1');
    await once(taken, 'listening');
    const end = await roll();
    expect(end).toMatchObject({ status: 'reverted', reason: `port ${ref.target.listenPort} is already in use` });
    expect(await tasks()).toEqual([]);
    taken.close();
    await once(taken, 'close');
    expect((await roll()).status).toBe('succeeded');
  });

  it('goes over to a new port with the rollout that brings it, and back when that fails', async () => {
    await roll({ env: { VERSION: 'one' } });
    const ports = [ref.target.listenPort, await freePort()];
    const answers = () =>
      Promise.all(
        ports.map((port) =>
          fetch(`http://127.0.0.1:${port}`).then(
            () => true,
            () => false,
          ),
        ),
      );
    ref = { ...ref, target: { ...ref.target, listenPort: ports[1] } };
    const broken = { health: { ...policyHealth, graceSeconds: 0.2 } };
    expect((await roll({ env: { HEALTH_STATUS: '500' }, revision: broken })).status).toBe('reverted');
    await until(answers, ([old, now]) => old === true && now === false);
    expect((await roll({ env: { VERSION: 'two' } })).status).toBe('succeeded');
    await until(answers, ([old, now]) => old === false && now === true);
  });

  it('stops the old task before it starts the new one where one may exist at a time', async () => {
    await roll({ env: { VERSION: 'one' } });
    const rollout = await start({ env: { VERSION: 'two' }, policy: { minimumHealthyPercent: 0, maximumPercent: 100 } });
    const most = { count: 0 };
    await until(
      async () => {
        most.count = Math.max(most.count, (await tasks()).length);
        return (await made.fleet.observeRollout(ref, rollout.id)).status;
      },
      (status) => status === 'succeeded',
    );
    expect(most.count).toBe(1);
  });

  it('puts drained old tasks back when a rollout is reverted while they drain', async () => {
    await roll({ env: { VERSION: 'one' } });
    const slow = json('/slow?ms=1500');
    await until(tasks, ([task]) => task?.inFlight === 1);
    const rollout = await start({ env: { VERSION: 'two' } });
    await draining();
    await made.fleet.revertRollout(ref, rollout.id, 'on second thoughts');
    expect((await ended(made.fleet, ref, rollout.id)).counts).toMatchObject({ oldServing: 1, newServing: 0 });
    expect(await slow).toMatchObject({ version: 'one' });
    expect(await json('/')).toMatchObject({ version: 'one' });
  });

  it('gives a task its variables and secrets, and nothing of the control plane', async () => {
    process.env['SLUICE_TEST_LEAK'] = 'leaked';
    const key = { name: 'apps/web/key', version: '1' };
    const print = { PRINT: 'the key is first-secret' };
    await roll({ env: { VERSION: 'one', PORT: '1', ...print }, revision: { secrets: { API_KEY: key } } });
    delete process.env['SLUICE_TEST_LEAK'];
    const env = await json('/env');
    expect(env).toMatchObject({ VERSION: 'one', API_KEY: 'first-secret', HOST: '127.0.0.1' });
    expect(env['PORT']).not.toBe('1');
    const known = ['API_KEY', 'HOME', 'HOST', 'LANG', 'PATH', 'PORT', 'PRINT', 'SLUICE_MARK', 'VERSION'];
    expect(Object.keys(env).sort()).toEqual(known);
    const { lines } = await made.fleet.logs(ref);
    expect(lines.map((line) => line.text)).toContain('the key is ***');
  });

  it('says that a secret is missing, by its name', async () => {
    const end = await roll({ revision: { secrets: { API_KEY: { name: 'apps/web/none', version: '1' } } } });
    expect(end).toMatchObject({
      status: 'reverted',
      reason: expect.stringMatching(/there is no secret apps\/web\/none/),
    });
  });

  it('says that the start command is not there', async () => {
    const end = await roll({ revision: { command: ['no-such-command'] } });
    expect(end).toMatchObject({ status: 'reverted', reason: expect.stringMatching(/could not be started \(ENOENT\)/) });
  });

  it('tells of every change of a rollout, the last one when it is over', async () => {
    const rollout = await start();
    await ended(made.fleet, ref, rollout.id);
    const told = await until(
      () => made.changes,
      (all) => all.length >= 3,
    );
    expect(new Set(told)).toEqual(new Set([rollout.id]));
    const before = made.changes.length;
    await made.fleet.revertRollout(ref, rollout.id, 'x');
    await until(tasks, (all) => all.length === 0);
    expect(made.changes.length).toBeGreaterThan(before);
  });
});

const policyHealth = revisionOf({ kind: 'bundle' } as RolloutInput['revision']['artifact']).health;
