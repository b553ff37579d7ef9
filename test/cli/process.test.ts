import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { building, buildId, ended, event, events, id, log, rolling } from './fixtures.ts';
import { ScriptedServer } from './scripted-server.ts';

/** The real program in a process of its own. */
const launcher = resolve(import.meta.dirname, '../../bin/sluice.mjs');
const has = (command: string, ...args: string[]) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;
const hasScript = has('script', '--version');

let folder: string;
let server: ScriptedServer;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'sluice-cli-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(async () => void (server = await new ScriptedServer().start()));
afterEach(async () => await server.close());

function environment(): NodeJS.ProcessEnv {
  const { CI: _ci, NO_COLOR: _noColor, FORCE_COLOR: _forceColor, SLUICE_DATA: _data, ...env } = process.env;
  return { ...env, TERM: 'xterm', SLUICE_URL: server.url, SLUICE_TOKEN: 't', XDG_CACHE_HOME: join(folder, 'cache') };
}

function start(
  args: readonly string[],
  { cwd = folder, command = process.execPath } = {},
): ChildProcessWithoutNullStreams {
  return spawn(command, [...args], { cwd, env: environment(), stdio: 'pipe' });
}

type Ended = {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
};

async function finish(child: ChildProcessWithoutNullStreams, input?: string): Promise<Ended> {
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => (out += String(chunk)));
  child.stderr.on('data', (chunk) => (err += String(chunk)));
  if (input !== undefined) child.stdin.end(input);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal, out, err };
}
const sluice = async (args: readonly string[], input = '') => await finish(start([launcher, ...args]), input);

async function printed(child: ChildProcessWithoutNullStreams, text: string): Promise<void> {
  let seen = '';
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk) => {
      seen += String(chunk);
      if (seen.includes(text)) resolve();
    });
  });
}

const viewRoute = `GET /api/v1/deployments/${id}`;
function endless(): void {
  server.on(viewRoute, { body: rolling() });
  server.on(`${viewRoute}/events`, { body: events([event(1, 'rolling')]) }, () => new Promise<never>(() => {}));
}

describe('the program', () => {
  it.each([
    ['done', ['apps', 'list'], 0],
    ['a deployment that failed', ['follow', id], 1],
    ['wrong use', ['nope'], 2],
    ['a refusal', ['apps', 'show', 'nope'], 2],
  ])('exits so for %s', async (_what, args, code) => {
    server.on('GET /api/v1/apps', { body: { items: [], next: null } });
    server.on(viewRoute, { body: ended('rolled_back', 'x') });
    server.on(`${viewRoute}/events`, { body: events([event(1, 'rolled_back')], true) });
    expect((await sluice(args)).code).toBe(code);
  });

  it('exits with 3 when nothing listens, by the local server it found', async () => {
    mkdirSync(join(folder, '.sluice'));
    writeFileSync(join(folder, '.sluice', 'server.json'), '{"url":"http://127.0.0.1:1","pid":1}');
    const { SLUICE_URL: _url, SLUICE_TOKEN: _token, ...env } = environment();
    const child = spawn(process.execPath, [launcher, 'list'], { cwd: folder, env, stdio: 'pipe' });
    const { code, err } = await finish(child, '');
    expect({ code, err }).toEqual({ code: 3, err: expect.stringContaining('start the server with "npm start"') });
  });

  it('takes a secret from standard input', async () => {
    server.on('PUT /api/v1/apps/web/secrets/key', { status: 204 });
    expect((await sluice(['secrets', 'set', 'web', 'key'], 'hunter2\n')).code).toBe(0);
    expect(server.received[0]?.body).toEqual({ value: 'hunter2' });
  });

  it('ends quietly when its reader has gone', async () => {
    server.on('GET /api/v1/apps', async () => {
      child.stdout.destroy();
      return { body: { items: [], next: null } };
    });
    const child = start([launcher, 'apps', 'list', '--json']);
    expect(await finish(child, '')).toMatchObject({ err: '', signal: null });
  });

  it('stops following at SIGINT, with a word on how to go on', async () => {
    endless();
    const child = start([launcher, 'follow', id]);
    const end = finish(child);
    await printed(child, 'It is rolling now');
    child.kill('SIGINT');
    expect(await end).toMatchObject({ code: 130, err: expect.stringContaining(`sluice follow ${id}`) });
    expect(server.received.every(({ method }) => method === 'GET')).toBe(true);
  });
});

describe('the launcher on a Node that cannot run TypeScript', () => {
  const oldNode = ['--no-strip-types', launcher];

  it('hands over to the one beside it, with arguments, input and exit code', async () => {
    server.on('PUT /api/v1/apps/web/secrets/key', { status: 204 });
    expect(await finish(start([...oldNode, 'secrets', 'set', 'web', 'key']), 'hunter2')).toMatchObject({ code: 0 });
    expect(server.received[0]?.body).toEqual({ value: 'hunter2' });
    expect(await finish(start([...oldNode, 'nope']))).toMatchObject({
      code: 2,
      err: expect.stringContaining('unknown command'),
    });
  });

  it('passes signals on, and ends as the other did', async () => {
    endless();
    const interrupted = start([...oldNode, 'follow', id]);
    const end = finish(interrupted);
    await printed(interrupted, 'It is rolling now');
    interrupted.kill('SIGINT');
    expect(await end).toMatchObject({ code: 130, err: expect.stringContaining('Stopped following') });

    endless();
    const terminated = start([...oldNode, 'follow', id]);
    const end2 = finish(terminated);
    await printed(terminated, 'It is rolling now');
    terminated.kill('SIGTERM');
    expect(await end2).toMatchObject({ signal: 'SIGTERM' });
  });

  it('says clearly what is missing', async () => {
    const copy = join(folder, 'copy');
    cpSync(resolve(launcher, '..'), join(copy, 'bin'), { recursive: true });
    const args = ['--no-strip-types', join(copy, 'bin', 'sluice.mjs'), '--version'];
    expect(await finish(start(args))).toMatchObject({ code: 2, err: expect.stringContaining('run "npm ci"') });
    mkdirSync(join(copy, 'node_modules'));
    symlinkSync(resolve(launcher, '../../node_modules/commander'), join(copy, 'node_modules', 'commander'));
    expect(await finish(start(args))).toMatchObject({
      code: 2,
      err: expect.stringMatching(/Node .* is too old: it needs 22.18/),
    });
  });
});

describe('completion', () => {
  const shells = [
    ['bash', 'bash', ['-n']],
    ['zsh', 'zsh', ['-n']],
    ['fish', 'fish', ['--no-execute']],
  ] as const;

  for (const [shell, command, check] of shells) {
    const missing = !has(command, '-c', 'true');
    it.skipIf(missing)(
      `of ${shell} is a script that it accepts${missing ? ` (skipped: no ${shell} here)` : ''}`,
      async () => {
        const { code, out } = await sluice(['completion', shell]);
        expect(code).toBe(0);
        const checked = spawnSync(command, [...check], { input: out, encoding: 'utf8' });
        expect({ status: checked.status, err: checked.stderr }).toEqual({ status: 0, err: '' });
      },
    );
  }

  it('there is a script for every shell, and for no other', async () => {
    for (const shell of ['fish', 'powershell', 'zsh'])
      expect((await sluice(['completion', shell])).out).toContain('sluice');
    expect((await sluice(['completion', 'tcsh'])).code).toBe(2);
  });

  it.each([
    [['de'], 'deploy\t'],
    [['apps', ''], 'deploy-key\t'],
    [['deploy', 'web', 'dev', '--a'], '--artifact\t'],
    [['list', '--status', 'ro'], 'rolled_back\t'],
  ])('completes %j', async (words, expected) => {
    expect((await sluice(['complete', '--', ...words])).out).toContain(expected);
  });

  it('works in bash itself', async () => {
    const { out } = await sluice(['completion', 'bash']);
    const call = [
      `sluice() { "${process.execPath}" "${launcher}" "$@"; }`,
      out,
      'COMP_WORDS=(sluice dep); COMP_CWORD=1; COMP_LINE="sluice dep"; COMP_POINT=10',
      'eval "$(complete -p sluice | sed "s/.*-F \\([^ ]*\\).*/\\1/")"; printf "%s\\n" "${COMPREPLY[@]}"',
    ].join('\n');
    const done = spawnSync('bash', ['-c', call], { encoding: 'utf8', env: environment() });
    expect(done.stdout.trim().split('\n')).toContain('deploy');
  });
});

describe.skipIf(!hasScript)(`on a terminal${hasScript ? '' : ' (skipped: no "script" here)'}`, () => {
  const onTerminal = (args: string) =>
    start(['-qec', `"${process.execPath}" "${launcher}" ${args}`, '/dev/null'], { command: 'script' });

  it('draws in place, and lets no escape sequence of a build through', async () => {
    server.on(viewRoute, { body: building() }, { body: rolling() }, { body: rolling() }, { body: ended('succeeded') });
    server.on(`GET /api/v1/build/${buildId}/logs`, { body: log(['\u001b]0;owned\u0007built\u001b[2J']) });
    server.on(
      `${viewRoute}/events`,
      { body: events([event(1, 'building')]) },
      { body: events([event(2, 'rolling')]) },
      { body: events([event(3, 'succeeded')], true) },
    );
    const { code, out } = await finish(onTerminal(`follow ${id}`));
    expect(code).toBe(0);
    expect(out).toMatch(/\u001b\[\d+A\r\u001b\[J/); // oxlint-disable-line no-control-regex
    expect(out).toContain('built');
    expect(out).not.toMatch(/owned|\[2J/);
  });

  it('asks for a secret without showing it', async () => {
    server.on('PUT /api/v1/apps/web/secrets/key', { status: 204 });
    const child = onTerminal('secrets set web key');
    const end = finish(child);
    await printed(child, '(not shown): ');
    child.stdin.write('huntex\u007fr2\r');
    const { code, out } = await end;
    expect(code).toBe(0);
    expect(out).not.toMatch(/hunte/);
    expect(server.received[0]?.body).toEqual({ value: 'hunter2' });
  });

  it('writes no secret after Ctrl-C', async () => {
    const child = onTerminal('secrets set web key');
    const end = finish(child);
    await printed(child, '(not shown): ');
    child.stdin.write('hun\u0003');
    expect((await end).code).toBe(130);
    expect(server.received).toEqual([]);
  });
});
