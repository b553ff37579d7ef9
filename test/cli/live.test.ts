import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLiveRegion } from '../../cli/follow/live-region.ts';
import { runCli } from '../../cli/program.ts';
import { styleOf } from '../../cli/style.ts';
import { building, buildId, deployment, ended, event, events, id, log, rolling } from './fixtures.ts';
import { Screen } from './screen.ts';
import { ScriptedServer } from './scripted-server.ts';
import { createTestWorld } from './test-world.ts';

let server: ScriptedServer;
beforeEach(async () => void (server = await new ScriptedServer().start()));
afterEach(async () => await server.close());

const viewRoute = `GET /api/v1/deployments/${id}`;
const target = rolling().targets[0]!;

function script(): void {
  server.on(viewRoute, { body: deployment() }, { body: building() }, { body: rolling() }, { body: ended('succeeded') });
  server.on(
    `${viewRoute}/events`,
    { body: events([event(1, 'queued'), event(2, 'building')]) },
    { body: events([event(3, 'rolling', { target: 'web', text: 'web is rolling' })]) },
    { body: events([event(4, 'succeeded')], true) },
  );
  server.on(`GET /api/v1/build/${buildId}/logs`, {
    body: log(['Step 1', `${'very '.repeat(30)}long`, 'x\u001b[5Ay\u001b[2Jz']),
  });
}

/** Colours, up, to the start, and away with what is beneath. */
// oxlint-disable-next-line no-control-regex
const ours = /\u001b\[(?:\d*m|\d+A\r\u001b\[J)/g;
// oxlint-disable-next-line no-control-regex -- what must not be left, but for the line's end
const control = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/;

async function followOn(columns: number, rows = 24) {
  const world = createTestWorld({
    terminal: true,
    columns,
    rows,
    env: { SLUICE_URL: server.url, SLUICE_TOKEN: 't' },
  });
  const code = await runCli(['follow', id], world);
  const screen = new Screen(columns, rows);
  screen.write(world.out());
  return { code, world, screen };
}

describe('the live view', () => {
  it('leaves the timeline and the build on the screen, in order, and nothing of the live lines', async () => {
    script();
    const { code, screen } = await followOn(120);
    expect(code).toBe(0);
    const lines = screen.lines().map((line) => line.replace(/^\d\d:\d\d:\d\d/, 'TIME'));
    expect(lines[0]).toBe(`Deployment ${id}: web to dev, source main`);
    expect(lines.filter((line) => line.startsWith('TIME'))).toEqual([
      'TIME  It is queued now',
      'TIME  It is building now',
      'TIME  web is rolling',
      'TIME  It is succeeded now',
    ]);
    expect(lines).toContain('        | xyz');
    expect(lines.at(-1)).toBe(`Deployment ${id} succeeded after 42 s.`);
    expect(lines.join('\n')).not.toMatch(/new 1\/2|^web dev/m);
  });

  it('shows a line per target while it rolls', async () => {
    script();
    const { world } = await followOn(120);
    const seen = Screen.states(world.out(), 120);
    expect(seen).toContainEqual(
      expect.stringMatching(
        /\nweb dev {2}rolling {2}30 s\n {2}web {2}rolling {8}new 1\/2, 1 starting, old 2, draining 0/,
      ),
    );
  });

  it.each([20, 40, 79])('keeps its order on a terminal of %i columns', async (columns) => {
    script();
    const { screen, world } = await followOn(columns, 60);
    const text = screen.lines().join('');
    expect(text.match(/It is (?:queued|building|succeeded) now|web is rolling/g)).toEqual([
      'It is queued now', 'It is building now', 'web is rolling', 'It is succeeded now',
    ]); // prettier-ignore
    for (const state of Screen.states(world.out(), columns))
      expect(state.match(/^web dev/gm)?.length ?? 0).toBeLessThan(2);
  });

  it('keeps every count in sight on a narrow terminal', async () => {
    script();
    const { world } = await followOn(40, 60);
    expect(Screen.states(world.out(), 40)).toContainEqual(
      expect.stringContaining('\n  web  rolling  1/2 +1 old 2 out 0'),
    );
  });

  it('says when the connection is lost', async () => {
    server.on(viewRoute, { body: rolling() });
    server.on(`${viewRoute}/events`, { body: events([event(1, 'rolling')]) }, { cut: true }, { cut: true }, () => {
      server.on(viewRoute, { body: ended('failed', 'no') });
      return { body: events([event(2, 'failed')], true) };
    });
    const { code, world, screen } = await followOn(100);
    expect(code).toBe(1);
    expect(Screen.states(world.out(), 100)).toContainEqual(expect.stringContaining('connection lost, trying again'));
    expect(screen.lines().join('\n')).not.toContain('connection lost');
  });

  it('shows names and reasons of others without their codes', async () => {
    const evil = { ...target, name: 'w\u001b[2Jeb\u0007', reason: 'a\u001b]0;owned\u0007b\nc' };
    server.on(viewRoute, { body: { ...ended('failed', 'x\u009b2Jy'), targets: [evil] } });
    server.on(`${viewRoute}/events`, { body: events([event(1, 'failed', { text: 'bad\u001b[1A\rgood' })], true) });
    const { world } = await followOn(100);
    const theirs = world.out().replaceAll(ours, '');
    expect(theirs).not.toMatch(control);
  });
});

describe('the live region', () => {
  const line = (text: string) => [{ text }];
  const regionOn = (columns: number, rows: number) => {
    const world = createTestWorld({ terminal: true, columns, rows });
    const screen = () => {
      const made = new Screen(columns, rows);
      made.write(world.out());
      return made.lines();
    };
    return { world, screen, region: createLiveRegion(world.stdout, styleOf(world.stdout, {}, false)) };
  };

  it('stays beneath what is printed, however much that is', () => {
    const { region, screen } = regionOn(30, 10);
    region.show([line('live 1'), line('live 2')]);
    for (let n = 1; n <= 50; n++) region.print([`line ${n} ${'x'.repeat(n)}`]);
    expect(screen().slice(-3)).toEqual(['xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'.slice(0, 28), 'live 1', 'live 2']);
    region.close();
    expect(screen().join('\n')).not.toContain('live');
  });

  it('never grows beyond the screen, and says what it leaves out', () => {
    const { region, screen } = regionOn(30, 6);
    const many = Array.from({ length: 40 }, (_, n) => line(`target ${n}`));
    for (let n = 0; n < 5; n++) region.show(many);
    expect(screen().filter((text) => text !== '')).toEqual(['target 0', 'target 1', 'target 2', '  … and 37 more']);
  });

  it('cuts its lines to the width, and takes away the rows into which a narrower terminal has broken them', () => {
    const { region, world } = regionOn(60, 20);
    region.show([line('x'.repeat(50)), line('short')]);
    const before = world.out().length;
    world.resize(20);
    // 50 columns now stand in three rows of 20, and the short line in one.
    expect(world.out().slice(before)).toBe(`\u001b[4A\r\u001b[J${'x'.repeat(18)}…\nshort\n`);
  });

  it('lets go of the terminal when it is closed', () => {
    const { region, world } = regionOn(60, 20);
    region.show([line('a')]);
    region.close();
    const before = world.out();
    world.resize(20);
    expect(world.out()).toBe(before);
  });
});
