import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AppView } from '../../functions/api/shapes.ts';
import { runCli } from '../../cli/program.ts';
import { app, buildId, deployment, ended, environment, event, events, id, log, problem, row } from './fixtures.ts';
import { ScriptedServer } from './scripted-server.ts';
import { createTestWorld, type TestWorldOptions } from './test-world.ts';

let server: ScriptedServer;
let folder: string;
beforeEach(async () => {
  server = await new ScriptedServer().start();
  folder = await mkdtemp(join(tmpdir(), 'sluice-cli-'));
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

/** Runs a call, its words separated by blanks. */
async function sluice(call: string, options: TestWorldOptions = {}) {
  const env = { SLUICE_URL: server.url, SLUICE_TOKEN: 't', ...options.env };
  const world = createTestWorld({ folder, stdin: '', ...options, env });
  const code = await runCli(call.split(' '), world);
  return { code, out: world.out(), err: world.err() };
}
const json = (text: string): unknown => JSON.parse(text);

describe('apps apply', () => {
  const written = { source: { repoUrl: 'git@github.com:acme/Web.git' }, environments: [] };
  beforeEach(() => void server.on('PUT /api/v1/apps/web', { body: app() }));

  it('takes the id from the flag, the file, or the repository, in this order', async () => {
    server.on('PUT /api/v1/apps/flag', { body: app({ id: 'flag' }) });
    server.on('PUT /api/v1/apps/file', { body: app({ id: 'file' }) });
    await writeFile(join(folder, 'app.json'), JSON.stringify({ ...written, id: 'file' }));
    expect((await sluice('apps apply -f app.json --id flag')).out).toBe(
      'App flag is stored. Environments: dev, beta.\n',
    );
    expect((await sluice('apps apply -f app.json')).out).toContain('App file is stored');
    await writeFile(join(folder, 'app.json'), JSON.stringify(written));
    expect(await sluice('apps apply -f app.json')).toMatchObject({
      code: 0,
      out: expect.stringContaining('App web is stored'),
      err: 'It is named after its repository; --id names it otherwise.\n',
    });
    expect(server.received.map(({ body }) => body)).toEqual([written, written, written]);
  });

  it('reads YAML by the ending, and both from standard input', async () => {
    const yaml = 'id: web\nsource:\n  repoUrl: git@github.com:acme/Web.git\nenvironments: []\n';
    await writeFile(join(folder, 'app.yaml'), yaml);
    await sluice('apps apply -f app.yaml');
    await sluice('apps apply -f -', { stdin: yaml });
    await sluice('apps apply --file -', { stdin: JSON.stringify({ id: 'web', ...written }) });
    expect(server.received.map(({ body }) => body)).toEqual([written, written, written]);
  });

  it('takes back what "apps show --json" gave', async () => {
    server.on('GET /api/v1/apps/web', { body: app() });
    const shown = await sluice('apps show web --json');
    await sluice('apps apply -f -', { stdin: shown.out });
    const { id: _id, createdAt: _created, updatedAt: _updated, ...settings } = app();
    expect(server.received.at(-1)?.body).toEqual(settings);
  });

  it.each([
    ['app.json', '{"a": "hunter2",\n oops', 'app.json is not valid JSON (line 2'],
    ['app.yml', 'a: "hunter2\nb: [', 'app.yml is not valid YAML (line'],
    ['app.json', '["hunter2"]', 'expected an object'],
    ['app.json', '{"environments": []}', 'does not say which app'],
    ['app.txt', '', 'expected a file that ends in'],
  ])('refuses %s with %j, and shows no piece of it', async (file, text, expected) => {
    await writeFile(join(folder, file), text);
    const { code, err } = await sluice(`apps apply -f ${file}`);
    expect(code).toBe(2);
    expect(err).toContain(expected);
    expect(err).not.toContain('hunter2');
  });

  it('says when there is no such file, and that one is needed', async () => {
    expect(await sluice('apps apply -f nowhere.json')).toMatchObject({
      code: 2,
      err: expect.stringContaining('no such file'),
    });
    expect(await sluice('apps apply')).toMatchObject({ code: 2, err: expect.stringContaining('-f, --file') });
  });

  it('shows each field that is wrong and what was expected', async () => {
    const issues = [{ field: 'environments[0].targets[0].listenPort', expected: 'a whole number from 1 to 65535' }];
    server.on('PUT /api/v1/apps/web', { status: 400, body: problem(400, { message: 'The app is not valid', issues }) });
    expect(await sluice('apps apply -f -', { stdin: JSON.stringify(written) })).toMatchObject({
      code: 2,
      out: '',
      err: 'sluice: The app is not valid.\n  environments[0].targets[0].listenPort: expected a whole number from 1 to 65535\n',
    });
  });
});

describe('the other verbs of apps', () => {
  it('list shows all pages as one aligned table', async () => {
    const other = app({ id: 'another-app', build: undefined });
    server.on('GET /api/v1/apps', { body: { items: [app()], next: 'c1' } }, { body: { items: [other], next: null } });
    const { code, out } = await sluice('apps list');
    expect(code).toBe(0);
    expect(out).toMatch(
      /^APP +ENVIRONMENTS +BUILD +CHANGED +SOURCE\nweb +dev, beta +image +1 h ago +git@.*\nanother-app +dev, beta +1 h ago/,
    );
    expect(server.received[1]?.url).toContain('cursor=c1');
  });

  it('list --json is one document; without apps there is a sentence', async () => {
    server.on('GET /api/v1/apps', { body: { items: [app()], next: null } }, { body: { items: [], next: null } });
    expect(json((await sluice('apps list --json')).out)).toEqual({ items: [app()], next: null });
    expect((await sluice('apps list')).out).toMatch(/^There are no apps/);
  });

  it('show prints YAML that can be applied', async () => {
    server.on('GET /api/v1/apps/web', { body: app() });
    expect((await sluice('apps show web')).out).toMatch(
      /^# stored 24 h ago, changed 1 h ago\nid: web\nsource:\n {2}repoUrl: /,
    );
  });

  it('delete forces only when told', async () => {
    server.on('DELETE /api/v1/apps/web', { status: 409, body: problem(409) }, { status: 204 }, { status: 204 });
    expect((await sluice('apps delete web')).code).toBe(2);
    expect(await sluice('apps delete web --force')).toMatchObject({ code: 0, out: 'App web is deleted.\n' });
    expect(json((await sluice('apps delete web --json')).out)).toEqual({ id: 'web', deleted: true });
    server.on('DELETE /api/v1/apps/web', { status: 202 });
    expect((await sluice('apps delete web --force')).out).toContain('still draining');
    expect(server.received.map(({ url }) => url.split('?')[1])).toEqual([
      undefined,
      'force=true',
      undefined,
      'force=true',
    ]);
  });

  it('deploy-key prints nothing but the key on standard output', async () => {
    server.on('POST /api/v1/apps/web/deploy-key', { status: 201, body: { publicKey: 'ssh-ed25519 AAAA sluice\n' } });
    expect(await sluice('apps deploy-key web')).toMatchObject({ code: 0, out: 'ssh-ed25519 AAAA sluice\n' });
  });
});

describe('secrets', () => {
  const route = 'PUT /api/v1/apps/web/secrets/database-url';
  beforeEach(() => void server.on(route, { status: 204 }));
  const values = () => server.calls(route).map(({ body }) => body);

  it('set takes the value from standard input without its last newline, unless told to keep it', async () => {
    expect((await sluice('secrets set web database-url', { stdin: ' a\nb \n\r\n' })).code).toBe(0);
    await sluice('secrets set web database-url --keep-newline', { stdin: 'a\n' });
    expect(values()).toEqual([{ value: ' a\nb \n' }, { value: 'a\n' }]);
  });

  it('set asks on a terminal, and prints the value nowhere', async () => {
    const options = { terminal: true, stdin: undefined, typed: 'hunter2' } as unknown as TestWorldOptions;
    const { code, out, err } = await sluice('secrets set web database-url', options);
    expect(code).toBe(0);
    expect(err).toContain('Value of database-url (not shown): ');
    expect(out + err).not.toContain('hunter2');
    expect(values()).toEqual([{ value: 'hunter2' }]);
  });

  it('set writes nothing when the person gives up, or the value is empty, or stands in the arguments', async () => {
    const gaveUp = { terminal: true, stdin: undefined } as unknown as TestWorldOptions;
    expect((await sluice('secrets set web database-url', gaveUp)).code).toBe(130);
    expect((await sluice('secrets set web database-url', { stdin: '\n' })).code).toBe(2);
    expect((await sluice('secrets set web database-url hunter2')).code).toBe(2);
    expect(server.received).toEqual([]);
  });

  it('list shows names, remove removes', async () => {
    server.on('GET /api/v1/apps/web/secrets', { body: { items: [{ name: 'a' }, { name: 'b' }] } });
    server.on('DELETE /api/v1/apps/web/secrets/a', { status: 204 });
    expect(await sluice('secrets list web')).toMatchObject({ code: 0, out: 'a\nb\n' });
    expect(json((await sluice('secrets list web --json')).out)).toEqual({ items: [{ name: 'a' }, { name: 'b' }] });
    expect(await sluice('secrets remove web a')).toMatchObject({ code: 0, out: 'Secret a of web is removed.\n' });
  });
});

describe('deploy', () => {
  const route = 'POST /api/v1/deployments';
  const sha = 'C'.repeat(64);
  beforeEach(
    () => void server.on(route, { status: 202, body: deployment() }).on('GET /api/v1/apps/web', { body: app() }),
  );

  it.each([
    ['', { source: { ref: 'develop' } }],
    [' --git-ref v1', { source: { ref: 'v1' } }],
    [' --image nginx:1', { image: 'nginx:1' }],
    [` --artifact sha256:${sha}`, { artifact: `sha256:${'c'.repeat(64)}` }],
    [
      ` --fetch https://e.example/a.tgz --sha256 ${sha}`,
      { fetch: { url: 'https://e.example/a.tgz', sha256: 'c'.repeat(64) } },
    ],
  ])('with%s asks for just that', async (flags, expected) => {
    const { code, out } = await sluice(`deploy web dev --no-follow${flags}`);
    expect(code).toBe(0);
    expect(out).toBe(`Deployment ${id}: web to dev, source main: queued.\n`);
    expect(server.calls(route).map(({ body }) => body)).toEqual([{ app: 'web', environment: 'dev', ...expected }]);
  });

  it("falls back to the app's ref where the branch is a glob, and knows the environments", async () => {
    await sluice('deploy web beta --no-follow');
    expect(server.calls(route)[0]?.body).toMatchObject({ source: { ref: 'main' } });
    expect(await sluice('deploy web prod')).toMatchObject({
      code: 2,
      err: 'sluice: App web has no environment prod. It has: dev, beta.\n',
    });
  });

  it.each([
    '--git-ref a --image b',
    '--image a --artifact b',
    '--fetch http://e.example/',
    `--sha256 ${sha}`,
    '--fetch ftp://e --sha256 x',
    '--artifact zz',
    '--nope',
  ])('refuses %s before it asks for anything', async (flags) => {
    expect((await sluice(`deploy web dev ${flags}`)).code).toBe(2);
    expect(server.received).toEqual([]);
  });

  it('is never asked for twice, and says how to look when the answer was lost', async () => {
    server.on(route, { cut: true });
    const { code, err } = await sluice('deploy web dev --image a');
    expect(code).toBe(3);
    expect(err).toContain('may have been taken all the same; see: sluice list --app web --environment dev');
    expect(server.calls(route)).toHaveLength(1);
  });

  it('--no-follow --json is the deployment', async () => {
    expect(json((await sluice('deploy web dev --image a --no-follow --json')).out)).toEqual(deployment());
  });
});

describe('rollback, cancel and scale', () => {
  it('rollback asks for the last good revision, or the one named', async () => {
    const route = 'POST /api/v1/apps/web/environments/dev/rollback';
    server.on(route, { status: 202, body: deployment({ request: { kind: 'revision', deploymentId: 'd0' } }) });
    expect((await sluice('rollback web dev --no-follow')).out).toContain('revision of d0: queued');
    await sluice('rollback web dev --no-follow --to d7');
    expect(server.calls(route).map(({ body }) => body)).toEqual([{}, { to: 'd7' }]);
  });

  it('cancel asks and says how to see it done', async () => {
    server.on(`POST /api/v1/deployments/${id}/cancel`, { status: 202, body: deployment({ status: 'rolling_back' }) });
    expect(await sluice(`cancel ${id}`)).toEqual({
      code: 0,
      out: `Deployment ${id} is being cancelled; it is rolling back now.\n`,
      err: `Follow it: sluice follow ${id}\n`,
    });
  });

  it('scale sends a number, and only a sound one', async () => {
    const route = 'PUT /api/v1/apps/web/environments/dev/scale';
    server.on(route, { status: 202, body: environment() });
    expect((await sluice('scale web dev web 4')).code).toBe(0);
    for (const count of ['-1', '1.5', 'many', '1001', ''])
      expect((await sluice(`scale web dev web ${count}`)).code).toBe(2);
    expect(server.calls(route).map(({ body }) => body)).toEqual([{ target: 'web', desiredCount: 4 }]);
  });
});

describe('list', () => {
  it.each(['list', 'deployments'])('as "%s" filters, pages up to the limit and shows a table', async (name) => {
    const bad = row({ status: 'rolled_back', reason: 'unhealthy\u001b[2J', commit: 'f'.repeat(40) });
    server.on(
      'GET /api/v1/deployments',
      { body: { items: [row()], next: 'c1' } },
      { body: { items: [bad], next: 'c2' } },
    );
    const { code, out, err } = await sluice(`${name} --app web --environment dev --status failed --limit 2`);
    expect(code).toBe(0);
    expect(out).toMatch(
      /^DEPLOYMENT +APP +ENVIRONMENT +STATUS +WHEN +COMMIT +WHAT +BY +REASON\n.* queued +30 s ago .*\n.* rolled back .* ffffffffff +source main +api by admin +unhealthy\n$/,
    );
    expect(err).toContain('There are more');
    expect(server.received.map(({ url }) => url.split('?')[1])).toEqual([
      'app=web&environment=dev&status=failed&limit=2',
      'app=web&environment=dev&status=failed&cursor=c1&limit=1',
    ]);
  });

  it('--json holds the cursor to go on with', async () => {
    server.on('GET /api/v1/deployments', { body: { items: [row(), row()], next: 'c1' } });
    expect(json((await sluice('list --limit 2 --json')).out)).toEqual({ items: [row(), row()], next: 'c1' });
    await sluice('list --cursor c1');
    expect(server.received.at(-1)?.url).toContain('cursor=c1');
  });

  it.each([
    [{ kind: 'source', ref: 'refs/heads/release/1' }, 'source release/1'],
    [{ kind: 'source', ref: 'refs/tags/v1' }, 'source tag v1'],
    [{ kind: 'image', reference: 'nginx:1' }, 'image nginx:1'],
    [{ kind: 'artifact', digest: `sha256:${'d'.repeat(64)}` }, 'artifact sha256:dddddddddddd…'],
    [{ kind: 'fetch', url: 'https://e.example/a.tgz' }, 'fetch https://e.example/a.tgz'],
    [{ kind: 'revision', deploymentId: 'd0' }, 'revision of d0'],
    [{ kind: 'later' }, 'later'],
  ])('says of %j: %s', async (request, expected) => {
    server.on('GET /api/v1/deployments', { body: { items: [row({ request })], next: null } });
    expect((await sluice('list')).out).toContain(`  ${expected}  `);
  });

  it('knows the states', async () => {
    expect((await sluice('list --status broken')).code).toBe(2);
  });
});

describe('status', () => {
  const lane = { active: 'd8', queued: ['d9'] };
  beforeEach(() => {
    server.on('GET /api/v1/apps/web', { body: app() });
    server.on('GET /api/v1/apps/web/environments/dev', { body: environment({ lane }) });
    const failure = { at: '2026-11-20T09:59:00.000Z', reason: 'exited with 1\u001b[31m' };
    const empty = { ...environment().targets[0]!, revision: null, runningCount: 0, tasks: [], lastFailure: failure };
    server.on('GET /api/v1/apps/web/environments/beta', {
      body: environment({ environment: 'beta', current: null, targets: [empty] }),
    });
  });

  it('shows one environment, with its tasks when asked', async () => {
    const { code, out } = await sluice('status web dev --tasks');
    expect(code).toBe(0);
    expect(out).toContain(`web dev\n  current  ${id}, source main, 2 min ago\n  active   d8\n  queued   d9\n`);
    expect(out).toMatch(/\nweb +2\/2 +2 serving +9001 +aaaaaaaaaa +sha256:bbbbbbbbbbbb…\n/);
    expect(out).toMatch(/\nt1 +web +serving +2 min ago +3 +r1\n/);
  });

  it('shows every environment, and what was never deployed or has failed', async () => {
    const { out } = await sluice('status web');
    expect(out).toContain('web beta\n  current  nothing has been deployed here yet');
    expect(out).toContain('web: last failure 1 min ago: exited with 1\n');
  });

  it('is one JSON document for one environment and for all', async () => {
    expect(json((await sluice('status web dev --json')).out)).toEqual(environment({ lane }));
    expect(json((await sluice('status web --json')).out)).toMatchObject({
      items: [{ environment: 'dev' }, { environment: 'beta' }],
    });
  });
});

describe('health', () => {
  const checks = { records: 'ok', objects: 'ok', secrets: 'ok', builder: 'ok', fleet: 'ok', workflow: 'ok' };

  it('shows each dependency by name; one that fails makes it 3, at once', async () => {
    server.on('GET /ready', { body: { status: 'ok', checks } });
    expect(await sluice('health')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/records +ok\n[^]*The control plane is ready/),
    });
    const failing = { status: 'failing', checks: { ...checks, fleet: 'timed out' } };
    server.on('GET /ready', { status: 503, body: failing });
    expect(await sluice('health')).toMatchObject({ code: 3, out: expect.stringMatching(/fleet +timed out/) });
    expect(json((await sluice('health --json')).out)).toEqual(failing);
    expect(server.received).toHaveLength(3);
  });

  it('of an app is 1 when a target serves with too few', async () => {
    server.on('GET /api/v1/apps/web/environments/dev', { body: environment() });
    expect(await sluice('health web dev')).toMatchObject({ code: 0, out: expect.stringMatching(/dev +web +2\/2 +ok/) });
    const target = environment().targets[0]!;
    server.on('GET /api/v1/apps/web/environments/dev', {
      body: environment({
        targets: [{ ...target, tasks: target.tasks.map((task) => ({ ...task, state: 'starting' as const })) }],
      }),
    });
    expect(await sluice('health web dev')).toMatchObject({
      code: 1,
      out: expect.stringMatching(/dev +web +0\/2 +too few/),
    });
    expect(json((await sluice('health web dev --json')).out)).toMatchObject({
      status: 'failing',
      items: [{ serving: 0, wanted: 2 }],
    });
  });
});

describe('logs of tasks', () => {
  const route = 'GET /api/v1/apps/web/environments/dev/logs';
  const long = '0197f6a2-1111-7000-8000-0000abcdef01';
  const page = (lines: readonly [at: number, task: string, text: string][], next = 'n') => ({
    body: {
      lines: lines.map(([at, phase, text]) => ({ at: `2026-11-20T10:00:0${at}.000Z`, phase, text })),
      next,
      done: false,
    },
  });
  const targets = [{ name: 'web' }, { name: 'worker' }] as AppView['environments'][number]['targets'];
  const twoTargets = app({ environments: [{ ...app().environments[0]!, targets }] });
  beforeEach(() => {
    server.on('GET /api/v1/apps/web', { body: twoTargets });
    server.on(route, ({ url }) => {
      if (url.includes('after=')) return page([]);
      return url.includes('target=worker')
        ? page([[2, 'w1', 'b\u001b[2J']])
        : page([
            [1, long, 'a'],
            [3, long, 'c'],
          ]);
    });
  });
  const plain = (text: string) => text.replaceAll(/\d\d:\d\d:\d\d/g, 'TIME');

  it.each(['logs web', 'logs web dev'])('"%s" shows all targets in the order of time', async (call) => {
    const { code, out } = await sluice(call);
    expect(code).toBe(0);
    expect(plain(out)).toBe('TIME  web …abcdef01  a\nTIME  worker w1  b\nTIME  web …abcdef01  c\n');
  });

  it('shows one target without asking for the app', async () => {
    expect(plain((await sluice('logs web dev --target worker')).out)).toBe('TIME  worker w1  b\n');
    expect(server.calls('GET /api/v1/apps/web')).toEqual([]);
  });

  it('is one document as JSON, and a line each while followed', async () => {
    expect(json((await sluice('logs web dev --json')).out)).toMatchObject({
      environment: 'dev',
      lines: [{ target: 'web', task: long, text: 'a' }, { target: 'worker' }, { text: 'c' }],
    });
    server.on(route, page([[1, 't', 'a']]), page([[2, 't', 'b']]), { status: 404, body: problem(404) });
    const { out } = await sluice('logs web dev --target web --follow --json');
    expect(out.trim().split('\n').map(json)).toMatchObject([{ type: 'log', task: 't', text: 'a' }, { text: 'b' }]);
    expect(server.received.at(-1)?.url).toContain('target=web&after=n&wait=20');
  });

  it('comes to an end although the app goes on writing', async () => {
    const line = (n: number): [number, string, string] => [n, 't', 'x'];
    server.on(route, page([line(1), line(2)]), page([line(3), line(4)]), page([line(5)]));
    const { out } = await sluice('logs web dev --target web');
    expect(out.split('\n')).toHaveLength(6);
    expect(server.calls(route)).toHaveLength(3);
  });

  it('wants to know which environment, of those there are', async () => {
    server.on('GET /api/v1/apps/web', { body: app() });
    expect(await sluice('logs web')).toMatchObject({
      code: 2,
      err: expect.stringContaining('Name one of: dev, beta.'),
    });
    expect(await sluice('logs web prod')).toMatchObject({
      code: 2,
      err: expect.stringContaining('It has: dev, beta.'),
    });
  });
});

describe('logs of a build or a deployment', () => {
  const logRoute = `/api/v1/build/${buildId}/logs`;
  const view = {
    ...ended('failed', 'the build failed'),
    timeline: [event(1, 'building'), event(2, 'target', { target: 'web', text: 'web is rolling' }), event(3, 'failed')],
  };
  beforeEach(() => {
    server.on(`GET /api/v1/deployments/${id}`, { body: view });
    server.on(
      `GET ${logRoute}`,
      { body: log(['one', 'two\u001b[2J\u0007'], { done: false, next: 'n1' }) },
      { body: log(['three']) },
    );
  });

  it('of a deployment are the output of its build, then its timeline', async () => {
    const { code, out } = await sluice(`logs --deployment ${id}`);
    expect(code).toBe(0);
    expect(out.replaceAll(/\d\d:\d\d:\d\d/g, 'TIME')).toBe(
      `Deployment ${id}: web to dev, source main\n        | one\n        | two␇\n        | three\n` +
        'TIME  It is building now\nTIME  web is rolling\nTIME  It is failed now\n' +
        `Deployment ${id} failed after 42 s: the build failed\n`,
    );
  });

  it('of a deployment are one document as JSON', async () => {
    expect(json((await sluice(`logs --deployment ${id} --json`)).out)).toMatchObject({
      deployment: id,
      status: 'failed',
      lines: [{ text: 'one' }, { text: 'two\u001b[2J\u0007' }, { text: 'three' }],
      events: [{ kind: 'building' }, { kind: 'target' }, { kind: 'failed' }],
    });
  });

  it('of a deployment and target are the timeline of that', async () => {
    expect((await sluice(`logs --deployment ${id} --target web`)).out).not.toMatch(/one|building/);
    expect(await sluice(`logs --deployment ${id} --target nope`)).toMatchObject({
      code: 2,
      err: expect.stringContaining('no target nope'),
    });
  });

  it('of a deployment that is followed are what "follow" shows', async () => {
    server.on(`GET /api/v1/deployments/${id}/events`, { body: events([event(1, 'failed')], true) });
    expect((await sluice(`logs --deployment ${id} --follow`)).code).toBe(1);
  });

  it('of a build are its lines, as JSON one document', async () => {
    expect((await sluice(`logs --build ${buildId}`)).out).toMatch(/^\d\d:\d\d:\d\d {2}build {2}one\n/);
    server.on(`GET ${logRoute}`, { body: log(['one']) });
    expect(json((await sluice(`logs --build ${buildId} --json`)).out)).toMatchObject({
      build: buildId,
      lines: [{ text: 'one' }],
    });
  });

  it('of a running build end where they are, unless followed', async () => {
    const running = [
      { body: log(['one'], { done: false }) },
      { body: log([], { done: false }) },
      { body: log(['late']) },
    ];
    server.on(`GET ${logRoute}`, ...running);
    expect((await sluice(`logs --build ${buildId}`)).out).not.toContain('late');
    server.on(`GET ${logRoute}`, ...running);
    expect((await sluice(`logs --build ${buildId} --follow`)).out).toContain('late');
    expect(server.received.at(-1)?.url).toContain('wait=20');
  });

  it.each(['logs', `logs web --build ${buildId}`, `logs --build ${buildId} --target web`])(
    '"%s" does not say of what',
    async (call) => {
      expect(await sluice(call)).toMatchObject({ code: 2 });
      expect(server.received).toEqual([]);
    },
  );
});

describe('every verb', () => {
  const calls = [
    'apps apply -f app.json --id web', 'apps list', 'apps show web', 'apps delete web', 'apps deploy-key web',
    'secrets set web name', 'secrets list web', 'secrets remove web name', 'deploy web dev', `follow ${id}`,
    'status web', 'list', 'logs web', 'rollback web dev', `cancel ${id}`, 'scale web dev web 1', 'health',
    'create web dev', 'push 7 app.json', 'commit 7', 'publish 7', 'promote web dev', 'builds', 'purge 7', 'prune',
    'follow-job 42', 'create-token ci build upload', 'tokens list', 'tokens revoke j1', 'audit',
    'review 43 passed', 'published web dev', 'republish web dev', 'hooks list', 'hooks retry 44',
  ]; // prettier-ignore
  beforeEach(async () => await writeFile(join(folder, 'app.json'), '{}'));

  it.each(calls)('"%s" exits with 2 when the API refuses, and tells why on standard error', async (call) => {
    const { code, out, err } = await sluice(call, { stdin: 'value' });
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain('There is no such route in this script.');
  });

  it.each(calls)('"%s" under --json tells failures as JSON', async (call) => {
    const { code, out, err } = await sluice(`${call} --json`, { stdin: 'value' });
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(json(err)).toMatchObject({ status: 404, 'error-type': 'not-found' });
  });

  it.each(calls)('"%s" exits with 3 when nothing listens', async (call) => {
    const { url } = await new ScriptedServer().start().then(async (other) => {
      const { url } = other;
      await other.close();
      return { url };
    });
    const { code, err } = await sluice(call, { stdin: 'value', env: { SLUICE_URL: url } });
    expect({ code, err }).toEqual({ code: 3, err: expect.stringContaining('nothing listens there') });
  });

  it.each(calls)('"%s" refuses an unknown flag', async (call) => {
    expect(await sluice(`${call} --frobnicate`)).toMatchObject({
      code: 2,
      err: expect.stringContaining("'--frobnicate'"),
    });
    expect(server.received).toEqual([]);
  });

  it.each(calls)('"%s" has help with examples', async (call) => {
    const { code, out } = await sluice(`${call} --help`);
    expect(code).toBe(0);
    expect(out).toMatch(/Examples:\n {2}\$ sluice /);
    expect(out).toContain('--json');
  });

  it.each(['nope', 'apps nope', '--nope', 'apps', 'status', 'list extra'])('there is no call "%s"', async (call) => {
    expect(await sluice(call)).toMatchObject({ code: 2, out: '' });
  });

  it.each(['--help', 'help', 'help deploy', 'help apps', 'apps help apply', '--version', '-V'])(
    '"%s" is no failure',
    async (call) => {
      const { code, out } = await sluice(call);
      expect(code).toBe(0);
      expect(out).not.toBe('');
    },
  );

  it('a token that is missing or wrong is told with where it came from', async () => {
    server.on('GET /api/v1/apps', { status: 401, body: problem(401, { message: 'A valid token is needed' }) });
    expect((await sluice('apps list')).err).toBe(
      'sluice: A valid token is needed.\nThe token came from SLUICE_TOKEN.\n',
    );
    expect((await sluice('apps list', { env: { SLUICE_TOKEN: '' } })).err).toContain('set SLUICE_TOKEN');
  });
});
