import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../cli/program.ts';
import { building, buildId, deployment, ended, event, events, id, log, rolling } from './fixtures.ts';
import { ScriptedServer } from './scripted-server.ts';
import { createTestWorld, type TestWorld, type TestWorldOptions } from './test-world.ts';

let server: ScriptedServer;
beforeEach(async () => void (server = await new ScriptedServer().start()));
afterEach(async () => await server.close());

const viewRoute = `GET /api/v1/deployments/${id}`;
const eventsRoute = `${viewRoute}/events`;
const logRoute = `GET /api/v1/build/${buildId}/logs`;
const worldFor = (options: TestWorldOptions = {}) =>
  createTestWorld({ ...options, env: { SLUICE_URL: server.url, SLUICE_TOKEN: 't', ...options.env } });
const follow = async (world: TestWorld, ...flags: string[]) => await runCli(['follow', id, ...flags], world);
const withoutTimes = (text: string) => text.replaceAll(/\d\d:\d\d:\d\d/g, 'TIME');
const never = () => new Promise<never>(() => {});

/** A deployment from its queue to its end, each poll one step. */
function wholeStory(last = ended('succeeded')): void {
  server.on(viewRoute, { body: deployment() }, { body: building() }, { body: rolling() }, { body: last });
  server.on(
    eventsRoute,
    { body: events([event(1, 'queued'), event(2, 'building')]) },
    { body: events([event(3, 'rolling')]) },
    { body: events([event(4, 'target', { target: 'web', text: 'rolled' }), event(5, last.status)], true) },
  );
  server.on(logRoute, { body: log(['Step 1\u001b[2J'], { done: false, next: 'n1' }) }, { body: log(['Step 2']) });
}

describe('following where there is no terminal', () => {
  it('prints a plain line for everything, the build before what comes after it', async () => {
    wholeStory();
    const world = worldFor();
    expect(await follow(world)).toBe(0);
    const lines = withoutTimes(world.out()).trimEnd().split('\n');
    expect(lines[0]).toBe(`Deployment ${id}: web to dev, source main`);
    expect(lines.filter((line) => !line.includes('|')).slice(1)).toEqual([
      'TIME  It is queued now',
      'TIME  It is building now',
      'TIME  It is rolling now',
      'TIME  web: rolled',
      'TIME  It is succeeded now',
      `Deployment ${id} succeeded after 42 s.`,
    ]);
    const [first, second] = [lines.indexOf('        | Step 1'), lines.indexOf('        | Step 2')];
    expect(first).toBeGreaterThan(0);
    expect(second).toBeGreaterThan(first);
    expect(lines.indexOf('TIME  It is rolling now')).toBeGreaterThan(second);
    expect(world.out()).not.toContain('\u001b');
  });

  it.each([{ CI: 'true' }, { NO_COLOR: '1' }, { TERM: 'dumb' }])('also on a terminal under %j', async (env) => {
    wholeStory();
    const world = worldFor({ terminal: true, env });
    expect(await follow(world)).toBe(0);
    expect(world.out()).not.toContain('\u001b');
  });

  it('goes on after the event it has seen, by long polls', async () => {
    wholeStory();
    await follow(worldFor());
    expect(server.calls(eventsRoute).map(({ url }) => url.split('?')[1])).toEqual([
      'wait=20',
      'after=2&wait=20',
      'after=3&wait=20',
    ]);
    expect(server.calls(logRoute).map(({ url }) => url.split('?')[1])).toEqual(['wait=20', 'after=n1&wait=20']);
  });
});

describe('following an app and an environment', () => {
  const list = 'GET /api/v1/deployments';

  it('is following the newest deployment there', async () => {
    wholeStory();
    server.on(list, { body: { items: [deployment()], next: 'more' } });
    expect(await runCli(['follow', 'web', 'dev'], worldFor())).toBe(0);
    expect(server.calls(list)[0]?.url).toContain('app=web&environment=dev&limit=1');
  });

  it('is wrong use where nothing has been deployed', async () => {
    server.on(list, { body: { items: [], next: null } });
    const world = worldFor();
    expect(await runCli(['follow', 'web', 'dev'], world)).toBe(2);
    expect(world.err()).toContain('Nothing has been deployed to dev of web.');
  });
});

describe('the end', () => {
  it.each([
    ['succeeded', 0, 'succeeded after 42 s.'],
    ['failed', 1, 'failed after 42 s: because'],
    ['rolled_back', 1, 'failed and was rolled back after 42 s: because'],
    ['cancelled', 1, 'was cancelled after 42 s: because'],
    ['superseded', 1, 'was superseded by a newer one after 42 s: because'],
  ] as const)('%s exits with %i', async (status, code, sentence) => {
    server.on(viewRoute, { body: ended(status, 'because') });
    server.on(eventsRoute, { body: events([event(1, status)], true) });
    const world = worldFor();
    expect(await follow(world)).toBe(code);
    expect(world.out()).toContain(`Deployment ${id} ${sentence}`);
  });

  it('tells a reason once, and those of further targets beneath', async () => {
    const of = (name: string, reason: string) => ({ name, wave: 0, status: 'reverted', reason });
    const targets = [of('web', 'it crashed'), of('worker', 'undone with it'), of('cron', '')];
    server.on(viewRoute, { body: { ...ended('rolled_back', 'web: it crashed'), targets } });
    server.on(eventsRoute, { body: events([event(1, 'rolled_back')], true) });
    const world = worldFor();
    await follow(world);
    expect(world.out()).toMatch(/: web: it crashed\n {2}worker: undone with it\n {2}More: /);
  });

  it('of a deployment that is over shows its timeline, and not the log of its build again', async () => {
    server.on(viewRoute, { body: ended('succeeded') });
    server.on(eventsRoute, { body: events([event(1, 'building'), event(2, 'succeeded')], true) });
    expect(await follow(worldFor())).toBe(0);
    expect(server.calls(logRoute)).toEqual([]);
  });

  it('of a build too quick to be seen has its log all the same, in its place', async () => {
    server.on(viewRoute, { body: deployment() }, { body: { ...ended('failed', 'exit 1'), build: { id: buildId } } });
    server.on(eventsRoute, { body: events([event(1, 'queued'), event(2, 'building'), event(3, 'failed')], true) });
    server.on(logRoute, { body: log(['npm ERR!']) });
    const world = worldFor();
    expect(await follow(world)).toBe(1);
    expect(world.out()).toMatch(/building[^]*npm ERR![^]*It is failed/);
  });

  it('is waited for where the deployment is answered from a copy that is behind its events', async () => {
    server.on(viewRoute, { body: rolling() }, { body: rolling() }, { body: rolling() }, { body: ended('succeeded') });
    server.on(eventsRoute, { body: events([event(1, 'succeeded')], true) });
    expect(await follow(worldFor())).toBe(0);
  });

  it('comes even when the log cannot be read', async () => {
    wholeStory();
    server.on(logRoute, { status: 404, body: { message: 'No such build', status: 404 } });
    const world = worldFor();
    expect(await follow(world)).toBe(0);
    expect(world.err()).toContain("The build's log cannot be read: No such build.");
  });
});

describe('following with --json', () => {
  it('prints one line of JSON per event and build line, and the deployment last', async () => {
    wholeStory();
    const world = worldFor({ terminal: true });
    expect(await follow(world, '--json')).toBe(0);
    const lines = world
      .out()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.filter(({ type }) => type === 'event').map(({ kind }) => kind)).toEqual([
      'queued',
      'building',
      'rolling',
      'target',
      'succeeded',
    ]);
    expect(lines.filter(({ type }) => type === 'log').map(({ text }) => text)).toEqual(['Step 1\u001b[2J', 'Step 2']);
    expect(lines.at(-1)).toEqual({ type: 'deployment', ...ended('succeeded') });
    expect(world.out()).not.toContain('\u001b');
  });
});

describe('a server that goes away while it is followed', () => {
  it('is waited for, and said to be away once', async () => {
    wholeStory();
    server.on(
      eventsRoute,
      { cut: true },
      { status: 502, text: '' },
      { cut: true },
      { body: events([event(1, 'succeeded')], true) },
    );
    const world = worldFor();
    expect(await follow(world)).toBe(0);
    expect(world.err()).toBe('The connection is lost; trying again …\nThe connection is back.\n');
  });

  it('is given up on after two minutes, with a word on how to go on', async () => {
    server.on(viewRoute, { body: rolling() });
    server.on(eventsRoute, { cut: true });
    const world = worldFor();
    expect(await follow(world)).toBe(3);
    expect(world.err()).toContain(`The deployment may go on: sluice follow ${id}`);
    expect(world.pauses.reduce((sum, each) => sum + each, 0)).toBeGreaterThan(110_000);
  });
});

describe('Ctrl-C', () => {
  it('stops following, says how to go on, and cancels nothing', async () => {
    server.on(viewRoute, { body: rolling() });
    server.on(eventsRoute, { body: events([event(1, 'rolling')]) }, never);
    const world = worldFor();
    const code = follow(world);
    await world.printed('It is rolling now');
    world.interrupt();
    expect(await code).toBe(130);
    expect(world.err()).toBe(
      `Stopped following; the deployment goes on.\n  Follow it again: sluice follow ${id}\n  Cancel it:       sluice cancel ${id}\n`,
    );
    expect(server.received.every(({ method }) => method === 'GET')).toBe(true);
  });

  it('works while the server is away', async () => {
    server.on(viewRoute, { body: rolling() });
    let polls = 0;
    const world = worldFor();
    server.on(eventsRoute, () => {
      if (++polls === 3) world.interrupt();
      return { cut: true };
    });
    expect(await follow(world)).toBe(130);
  });

  it('stops following the log of a build', async () => {
    server.on(logRoute, { body: log(['one'], { done: false }) }, never);
    const world = worldFor();
    const code = runCli(['logs', '--build', buildId, '--follow'], world);
    await world.printed('one');
    world.interrupt();
    expect(await code).toBe(130);
  });
});

describe('deploying', () => {
  it('follows what it has started, to its end', async () => {
    wholeStory(ended('rolled_back', 'unhealthy'));
    server.on('POST /api/v1/deployments', { status: 202, body: deployment() });
    const world = worldFor();
    expect(await runCli(['deploy', 'web', 'dev', '--image', 'nginx'], world)).toBe(1);
    expect(world.out()).toContain('failed and was rolled back after 42 s: unhealthy');
  });

  it('a rollback is followed as well', async () => {
    wholeStory();
    server.on('POST /api/v1/apps/web/environments/dev/rollback', { status: 202, body: deployment() });
    expect(await runCli(['rollback', 'web', 'dev'], worldFor())).toBe(0);
  });
});
