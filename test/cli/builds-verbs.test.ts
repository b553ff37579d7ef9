import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../cli/program.ts';
import { artifact, brokenJob, build, check, endedJob, extended, job } from './build-fixtures.ts';
import { refusal } from './builds-service.ts';
import { ended, event, events, id, problem } from './fixtures.ts';
import { ScriptedServer } from './scripted-server.ts';
import { createTestWorld, type TestWorldOptions } from './test-world.ts';

let server: ScriptedServer;
beforeEach(async () => void (server = await new ScriptedServer().start()));
afterEach(async () => await server.close());

/** Runs a call, its words separated by blanks. */
async function sluice(call: string, options: TestWorldOptions = {}) {
  const env = { SLUICE_URL: server.url, SLUICE_TOKEN: 't', ...options.env };
  const world = createTestWorld({ stdin: '', ...options, env });
  const code = await runCli(call.split(' '), world);
  return { code, out: world.out(), err: world.err() };
}
const documents = (out: string) =>
  out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const wrongState = (current: string, type = 'wrong-repo-state') => ({
  status: 400,
  body: refusal(400, type, { 'current-state': current, 'expected-state': 'uploading' }),
});

describe('create', () => {
  const route = 'POST /api/v1/build';

  it('prints the URL of the new build, and nothing else', async () => {
    server.on(route, { body: build() });
    const { code, out, err } = await sluice('create web dev --build-log-url https://ci.example/7');
    expect({ code, out, err }).toEqual({ code: 0, out: `${server.url}/api/v1/build/7\n`, err: '' });
    expect(server.received[0]?.body).toEqual({
      repo: 'dev',
      'app-id': 'web',
      'build-log-url': 'https://ci.example/7',
    });
  });

  it('--json is the build with its URL', async () => {
    server.on(route, { body: build() });
    const [document] = documents((await sluice('create web dev --json')).out);
    expect(document).toEqual({ ...build(), url: `${server.url}/api/v1/build/7` });
  });

  it('is never asked for twice, and says how to look when the answer was lost', async () => {
    server.on(route, { cut: true });
    expect(await sluice('create web dev')).toMatchObject({
      code: 3,
      err: expect.stringContaining('see: sluice builds --app web --environment dev'),
    });
    expect(server.calls(route)).toHaveLength(1);
  });
});

describe('commit', () => {
  const route = 'POST /api/v1/build/7/commit';
  const follow = 'QUERY /api/v1/build/7/commit';
  const look = 'GET /api/v1/build/7/extended';
  beforeEach(() => {
    server.on(route, { body: job() });
    server.on(follow, { body: job({ log: 'one\ntw' }) }, { body: endedJob({ artifact, kind: 'image' }, 'o\nthree') });
    server.on(look, { body: extended({ repo_state: 2 }) });
  });

  it('prints the log of the job in whole lines while it is written, and then what was made', async () => {
    const { code, out } = await sluice('commit 7');
    expect(code).toBe(0);
    expect(out).toBe('  | one\n  | two\n  | three\nBuild 7 is committed: image sha256:bbbbbbbbbbbb…\n');
    expect(server.calls(follow).map(({ body }) => body)).toEqual([{ 'log-offset': 0 }, { 'log-offset': 6 }]);
    expect(server.calls(route)[0]?.body).toEqual({});
  });

  it('--json is a line for each of the log, and the end', async () => {
    const lines = documents((await sluice('commit 7 --drop-strays --json')).out);
    expect(lines.slice(0, 3)).toEqual(['one', 'two', 'three'].map((text) => ({ type: 'log', job: 42, text })));
    expect(lines.at(-1)).toMatchObject({ type: 'commit', build: 7, status: 'committed', results: { artifact } });
    expect(server.calls(route)[0]?.body).toEqual({ 'drop-strays': true });
  });

  it('that fails prints all that is missing, exits with 1, and says how to go on', async () => {
    server.on(follow, {
      body: brokenJob('aa.blob is missing (and 1 more)', 'aa.blob is missing\nbb.blob has 1 byte\n'),
    });
    const { code, out, err } = await sluice('commit 7');
    expect(code).toBe(1);
    expect(out).toBe(
      '  | aa.blob is missing\n  | bb.blob has 1 byte\n' +
        'The commit of build 7 failed: aa.blob is missing (and 1 more)\n',
    );
    expect(err).toContain('commit again: sluice commit 7');
    const lines = documents((await sluice('commit 7 --json')).out);
    expect(lines.at(-1)).toMatchObject({ type: 'commit', build: 7, status: 'failed' });
  });

  it.each(['committing', 'validating'])('follows the commit of somebody else where it is %s', async (state) => {
    server.on(route, wrongState(state));
    const { code, out, err } = await sluice('commit 7');
    expect({ code, err }).toEqual({ code: 0, err: `Build 7 has been committed already; it is ${state}.\n` });
    expect(out).toContain('Build 7 is committed');
  });

  it('of what is committed is done', async () => {
    server.on(route, wrongState('ready'));
    expect(await sluice('commit 7')).toMatchObject({ code: 0, out: 'Build 7 is committed.\n' });
    expect(server.calls(follow)).toHaveLength(0);
  });

  it.each(['purged', 'failed'])('of what is %s is refused', async (state) => {
    server.on(route, wrongState(state));
    expect((await sluice('commit 7')).code).toBe(2);
  });

  it('asks again when the answer was lost, as somebody has committed it then', async () => {
    server.on(route, { cut: true }, wrongState('committing'));
    expect((await sluice('commit 7')).code).toBe(0);
    expect(server.calls(route)).toHaveLength(2);
  });

  it('follows the checks, and is done when they are', async () => {
    server.on(
      look,
      { body: extended({ repo_state: 1 }) },
      { body: extended({ repo_state: 6 }, [check()]) },
      { body: extended({ repo_state: 2 }, [check({ status: 1 })]) },
    );
    server.on('QUERY /api/v1/build/7/check/lint/job', { body: endedJob({}, 'all fine\n') });
    const { code, out, err } = await sluice('commit 7');
    expect(code).toBe(0);
    expect(err).toBe('Check lint:\n');
    expect(out).toContain('  | all fine\nBuild 7 is committed');
  });

  it('fails with the check that failed', async () => {
    const reason = '1 out of 1 checks failed (lint)';
    server.on(look, { body: extended({ repo_state: 3, repo_state_reason: reason }, [check({ status: 3 })]) });
    expect(await sluice('commit 7')).toMatchObject({
      code: 1,
      out: expect.stringContaining(`Build 7 is failed: ${reason}\n`),
    });
  });

  it('does not wait for a person: a check that is to be reviewed is told, with its job', async () => {
    server.on(look, { body: extended({ repo_state: 6 }, [check({ status: 4, status_reason: 'two warnings' })]) });
    expect(await sluice('commit 7')).toMatchObject({
      code: 1,
      out: expect.stringContaining('check lint waits for a review (two warnings): sluice review 43 passed'),
    });
  });

  it('stops following at Ctrl-C, and says how to follow it again', async () => {
    const world = createTestWorld({ stdin: '', env: { SLUICE_URL: server.url, SLUICE_TOKEN: 't' } });
    server.on(follow, { body: job({ log: 'begun\n' }) });
    const end = runCli(['commit', '7'], world);
    await world.printed('begun');
    world.interrupt();
    expect(await end).toBe(130);
    expect(world.err()).toContain('the commit goes on. Follow it again: sluice commit 7');
  });
});

describe('publish', () => {
  const route = 'POST /api/v1/build/7/publish';
  const follow = 'QUERY /api/v1/build/7/publish';
  const view = `GET /api/v1/deployments/${id}`;
  beforeEach(() => {
    server.on(route, { body: job({ kind: 1 }) });
    server.on(follow, { body: endedJob({ deployment: id, artifact }, 'moved\n') });
    server.on(view, { body: ended('succeeded') });
    server.on(`${view}/events`, { body: events([event(1, 'succeeded')], true) });
  });

  it('follows the job, and then the deployment to its end', async () => {
    const { code, out } = await sluice('publish 7');
    expect(code).toBe(0);
    expect(out).toMatch(/^ {2}\| moved\nPublishing build 7: done\.\nDeployment .*\n.*It is succeeded now\n.*succeeded/);
  });

  it('exits with 1 when the deployment failed', async () => {
    server.on(view, { body: ended('rolled_back', 'unhealthy') });
    server.on(`${view}/events`, { body: events([event(1, 'rolled_back')], true) });
    expect((await sluice('publish 7')).code).toBe(1);
  });

  it('exits with 1 when the job failed, and follows no deployment', async () => {
    server.on(follow, { body: brokenJob('the environment is gone') });
    expect(await sluice('publish 7')).toMatchObject({
      code: 1,
      out: 'Publishing build 7 failed: the environment is gone\n',
    });
    expect(server.calls(view)).toHaveLength(0);
  });

  it.each(['publishing', 'published'])('of what is %s follows that', async (state) => {
    server.on(route, wrongState(state, 'wrong-published-state'));
    expect(await sluice('publish 7')).toMatchObject({ code: 0, err: `Build 7 is ${state} already.\n` });
  });

  it.each([
    ['not committed', 'uploading', 'wrong-repo-state'],
    ['still checked', 'validating', 'wrong-repo-state'],
    ['one whose publication failed', 'failed', 'wrong-published-state'],
  ])('of what is %s is refused', async (_what, state, type) => {
    server.on(route, wrongState(state, type));
    expect((await sluice('publish 7')).code).toBe(2);
  });

  it('is done where nothing is deployed, as of OSTree', async () => {
    server.on(follow, { body: endedJob({ refs: {} }) });
    expect(await sluice('publish 7')).toMatchObject({ code: 0, out: 'Publishing build 7: done.\n' });
  });

  it('says so when the token may publish and not follow what comes of it', async () => {
    server.on(view, { status: 403, body: problem(403, { message: 'Not enough permissions' }) });
    expect(await sluice('publish 7')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/It is published, and deployment .* goes on; .* needs the scope "read"/),
    });
  });

  it('--no-follow does not wait', async () => {
    expect(await sluice('publish 7 --no-follow')).toMatchObject({ code: 0, out: 'Build 7 is being published.\n' });
    expect(server.calls(follow)).toHaveLength(0);
  });

  it('--json ends with the deployment', async () => {
    const lines = documents((await sluice('publish 7 --json')).out);
    expect(lines.find(({ type }) => type === 'job')).toMatchObject({ status: 'ended', results: { deployment: id } });
    expect(lines.at(-1)).toMatchObject({ type: 'deployment', id, status: 'succeeded' });
  });
});

describe('promote', () => {
  const route = 'POST /api/v1/apps/web/environments/stable/promote';
  beforeEach(() => {
    server.on(route, { status: 202, body: job({ kind: 1 }) });
    server.on('QUERY /api/v1/job/42', { body: endedJob({ deployment: id }) });
    server.on(`GET /api/v1/deployments/${id}`, { body: ended('succeeded') });
    server.on(`GET /api/v1/deployments/${id}/events`, { body: events([event(1, 'succeeded')], true) });
  });

  it("brings the parent's artifact, or the one named, and follows its deployment", async () => {
    expect(await sluice('promote web stable')).toMatchObject({
      code: 0,
      out: expect.stringContaining('Promoting web to stable: done.'),
    });
    await sluice(`promote web stable --artifact ${artifact} --no-follow`);
    expect(server.calls(route).map(({ body }) => body)).toEqual([{}, { artifact }]);
  });

  it('is never asked for twice', async () => {
    server.on(route, { cut: true });
    expect(await sluice('promote web stable')).toMatchObject({
      code: 3,
      err: expect.stringContaining('see: sluice list --app web --environment stable'),
    });
    expect(server.calls(route)).toHaveLength(1);
  });
});

describe('purge', () => {
  const route = 'POST /api/v1/build/7/purge';
  const look = 'GET /api/v1/build/7';

  it('waits until it is done', async () => {
    server.on(route, { body: build({ repo_state: 4 }) });
    server.on(look, { body: build({ repo_state: 4 }) }, { body: build({ repo_state: 5 }) });
    expect(await sluice('purge 7')).toMatchObject({ code: 0, out: 'Build 7 is purged.\n' });
  });

  it('of what is being purged waits for that, and of what is in use is refused', async () => {
    const inUse = { status: 400, body: refusal(400, 'generic-error', { message: "Can't prune build while in use" }) };
    server.on(route, inUse);
    server.on(look, { body: build({ repo_state: 4 }) }, { body: build({ repo_state: 5 }) });
    expect((await sluice('purge 7')).code).toBe(0);
    server.on(look, { body: build({ repo_state: 1 }) });
    expect(await sluice('purge 7')).toMatchObject({ code: 2, err: "sluice: Can't prune build while in use.\n" });
  });
});

describe('follow-job', () => {
  it.each(['42', '/api/v1/job/42'])('follows %s to its end', async (text) => {
    server.on('QUERY /api/v1/job/42', { body: job({ log: 'a\n' }) }, { body: endedJob({ freed: 1 }, 'b\n') });
    const { code, out } = await sluice(`follow-job ${text.startsWith('/') ? server.url : ''}${text}`);
    expect({ code, out }).toEqual({ code: 0, out: '  | a\n  | b\nJob 42: done.\n' });
  });

  it('exits with 1 when it failed, and shows nothing that moves the cursor', async () => {
    server.on('QUERY /api/v1/job/42', { body: brokenJob('no\u001b[2J', 'x\u001b[31m\n') });
    expect(await sluice('follow-job 42')).toMatchObject({ code: 1, out: '  | x\nJob 42 failed: no\n' });
  });

  it('asks less often while nothing happens', async () => {
    const quiet = Array.from({ length: 7 }, () => ({ body: job() }));
    server.on('QUERY /api/v1/job/42', ...quiet, { body: endedJob() });
    const world = createTestWorld({ stdin: '', env: { SLUICE_URL: server.url, SLUICE_TOKEN: 't' } });
    expect(await runCli(['follow-job', '42'], world)).toBe(0);
    expect(world.pauses).toEqual([300, 1000, 2000, 3000, 4000, 5000, 5000]);
  });

  it.each(['https://elsewhere.example/api/v1/job/42', 'x', '/api/v1/build/42'])('refuses %s', async (text) => {
    const url = text.startsWith('/') ? server.url : '';
    expect((await sluice(`follow-job ${url}${text}`)).code).toBe(2);
    expect(server.received).toEqual([]);
  });
});

describe('prune', () => {
  it('says what it frees by the log of its job', async () => {
    server.on('POST /api/v1/prune', { body: job({ kind: 5 }) });
    server.on('QUERY /api/v1/job/42', { body: endedJob({ blobs: 3 }, 'would free 3 blobs, 45 bytes\n') });
    expect(await sluice('prune --environment dev --app web --dry-run --keep-hours 2')).toMatchObject({
      code: 0,
      out: '  | would free 3 blobs, 45 bytes\nPruning, dry: done.\n',
    });
    await sluice('prune');
    expect(server.calls('POST /api/v1/prune').map(({ body }) => body)).toEqual([
      { repo: 'dev', app: 'web', 'dry-run': true, 'keep-hours': 2 },
      {},
    ]);
    expect(documents((await sluice('prune --json')).out).at(-1)).toMatchObject({ type: 'job', results: { blobs: 3 } });
  });
});

describe('review', () => {
  const route = 'POST /api/v1/job/43/check/review';

  it('says how a check counts, in the words of the builds service', async () => {
    server.on(route, { status: 204 });
    expect(await sluice('review 43 passed')).toMatchObject({ code: 0, out: 'The check of job 43 counts as passed.\n' });
    await sluice('review 43 failed --reason large');
    await sluice('review 43 warned --json');
    expect(server.calls(route).map(({ body }) => body)).toEqual([
      { 'new-status': { status: 'Passed' } },
      { 'new-status': { status: 'Failed', reason: 'large' } },
      { 'new-status': { status: 'PassedWithWarnings' } },
    ]);
    expect((await sluice('review 43 maybe')).code).toBe(2);
    expect((await sluice('review 43')).code).toBe(2);
  });
});

describe('published, republish and hooks', () => {
  it('published lists digests with where they came from', async () => {
    const entry = { artifact, kind: 'image', build: 7, from: null, job: 42, at: '2026-11-20T10:00:00.000Z', by: 'ci' };
    const pointer = {
      app: 'web',
      environment: 'dev',
      current: entry,
      history: [entry, { ...entry, build: null, from: 'beta' }],
    };
    const route = 'GET /api/v1/apps/web/environments/dev/published';
    server.on(route, { body: pointer }, { body: pointer }, { body: { ...pointer, current: null, history: [] } });
    expect((await sluice('published web dev')).out).toMatch(
      /^ARTIFACT +KIND +WHEN +FROM +BY\nsha256:b{64} +image +30 s ago +build 7 +ci\nsha256:b{64} +image +30 s ago +beta +ci\n$/,
    );
    expect(documents((await sluice('published web dev --json')).out)).toEqual([pointer]);
    expect((await sluice('published web dev')).out).toBe('Nothing has been published there.\n');
  });

  it('republish follows the deployment', async () => {
    server.on('POST /api/v1/repo/dev/republish', { body: job({ kind: 3 }) });
    server.on('QUERY /api/v1/job/42', { body: endedJob({ deployment: id }) });
    server.on(`GET /api/v1/deployments/${id}`, { body: ended('succeeded') });
    server.on(`GET /api/v1/deployments/${id}/events`, { body: events([event(1, 'succeeded')], true) });
    expect(await sluice('republish web dev')).toMatchObject({
      code: 0,
      out: expect.stringContaining('Publishing web in dev again: done.'),
    });
    expect(server.received[0]?.body).toEqual({ app: 'web' });
  });

  it('hooks lists what was given up, and calls it again', async () => {
    const contents = JSON.stringify({ app: 'web', hook: 'tell', environment: 'dev', artifact });
    const dead = { ...brokenJob('it answered 500'), id: 44, kind: 6, contents };
    server.on('GET /api/v1/hooks/dead', { body: { items: [dead], next: null } });
    server.on('POST /api/v1/job/44/retry', { body: job({ id: 44, kind: 6 }) });
    expect((await sluice('hooks list')).out).toMatch(
      /^JOB +APP +ENVIRONMENT +HOOK +WHY\n44 +web +dev +tell +it answered 500\n$/,
    );
    expect(await sluice('hooks retry 44')).toMatchObject({ code: 0, out: 'The hook of job 44 is called again.\n' });
  });
});

describe('builds', () => {
  it('filters, pages by the header up to the limit, and shows a table', async () => {
    const published = build({
      id: 8,
      repo_state: 2,
      published_state: 2,
      artifact: { digest: artifact, kind: 'image' },
    });
    server.on(
      'GET /api/v1/build',
      { body: [build()], headers: { 'x-next-cursor': 'c1' } },
      { body: [published], headers: { 'x-next-cursor': 'c2' } },
    );
    const { code, out, err } = await sluice('builds --app web --environment dev --state uploading --limit 2');
    expect(code).toBe(0);
    expect(out).toMatch(
      /^BUILD +APP +KIND +ENVIRONMENT +STATE +WHEN +ARTIFACT +BY\n7 +web +upload +dev +uploading +30 s ago/,
    );
    expect(out).toMatch(/\n8 +web +upload +dev +published +30 s ago +sha256:bbbbbbbbbbbb… +ci\n$/);
    expect(err).toContain('There are more');
    expect(server.received.map(({ url }) => url.split('?')[1])).toEqual([
      'app-id=web&repo=dev&state=uploading&limit=2',
      'app-id=web&repo=dev&state=uploading&cursor=c1&limit=1',
    ]);
  });

  it('--json holds the cursor to go on with; without builds there is a sentence', async () => {
    server.on('GET /api/v1/build', { body: [build()], headers: { 'x-next-cursor': 'c1' } }, { body: [] });
    expect(documents((await sluice('builds --limit 1 --json')).out)).toEqual([{ items: [build()], next: 'c1' }]);
    expect((await sluice('builds')).out).toBe('There are no such builds.\n');
  });
});

describe('create-token', () => {
  const route = 'POST /api/v1/token_subset';
  const minted = { token: 'eyJ.value', id: 'j1', name: 'admin/ci', expires: '2026-11-21T10:00:00.000Z' };

  it('prints the token alone, and asks for what it is told', async () => {
    server.on(route, { body: minted });
    const { out, err } = await sluice(
      'create-token ci build build upload --duration 1h --app web --app shop --prefix org.a --repo dev --environment dev',
    );
    expect({ out, err }).toEqual({ out: 'eyJ.value\n', err: '' });
    await sluice('create-token one build/7 upload');
    expect(server.calls(route).map(({ body }) => body)).toEqual([
      {
        name: 'ci',
        sub: 'build',
        scope: ['build', 'upload'],
        duration: 3600,
        apps: ['web', 'shop'],
        prefixes: ['org.a'],
        repos: ['dev'],
        environments: ['dev'],
      },
      { name: 'one', sub: 'build/7', scope: ['upload'], duration: 86_400 },
    ]);
  });

  it.each([
    ['90', 90],
    ['90s', 90],
    ['30m', 1800],
    ['7d', 604_800],
  ])('takes %s as a duration', async (text, seconds) => {
    server.on(route, { body: minted });
    await sluice(`create-token ci build upload --duration ${text}`);
    expect(server.received[0]?.body).toMatchObject({ duration: seconds });
  });

  it.each(['0', '-1', '1w', 'h', '1.5h'])('refuses %s as one', async (text) => {
    expect((await sluice(`create-token ci build upload --duration ${text}`)).code).toBe(2);
    expect(server.received).toEqual([]);
  });
});

describe('tokens and audit', () => {
  const token = {
    id: 'j1', name: 'admin/ci', sub: 'build', scope: ['build', 'upload'], prefixes: [], apps: ['web'], repos: [''],
    environments: ['dev'], branches: [], parents: [], createdAt: '2026-11-20T09:00:00.000Z', createdBy: 'admin',
    expiresAt: '2026-11-21T09:00:00.000Z', lastUsedAt: null, revokedAt: null, revokedBy: null,
  }; // prettier-ignore

  it('tokens list shows what each may do, and how it stands', async () => {
    const revoked = { ...token, id: 'j2', revokedAt: '2026-11-20T09:30:00.000Z', revokedBy: 'admin' };
    const expired = {
      ...token,
      id: 'j3',
      expiresAt: '2026-11-20T09:30:00.000Z',
      lastUsedAt: '2026-11-20T09:29:30.000Z',
    };
    server.on('GET /api/v1/tokens', { body: { items: [token, revoked, expired], next: null } });
    const { out } = await sluice('tokens list');
    expect(out).toMatch(/^TOKEN +NAME +STATE +USED +SUB +SCOPES +APPS +ENVIRONMENTS\n/);
    expect(out).toMatch(/\nj1 +admin\/ci +good +never +build +build upload +web +dev\n/);
    expect(out).toMatch(/\nj2 +admin\/ci +revoked by admin +never/);
    expect(out).toMatch(/\nj3 +admin\/ci +expired +31 min ago/);
    expect(documents((await sluice('tokens list --json')).out)[0]).toMatchObject({
      next: null,
      items: [token, {}, {}],
    });
  });

  it('tokens revoke ends those named', async () => {
    server.on('POST /api/v1/tokens/revoke', { status: 204 });
    expect(await sluice('tokens revoke j1 j2')).toMatchObject({
      code: 0,
      out: 'Token j1 is revoked.\nToken j2 is revoked.\n',
    });
    expect(server.received[0]?.body).toEqual({ token_ids: ['j1', 'j2'] });
  });

  it('audit filters, and shows who did what on what', async () => {
    const entry = {
      id: 'e1', at: '2026-11-20T10:00:00.000Z', actor: 'admin/ci', token: 'j1', action: 'publishBuild', method: 'POST',
      route: '/api/v1/build/:id/publish', path: null, app: 'web', environment: null, build: '7', tokens: [], status: 200,
      result: 'done', address: '203.0.113.7', requestId: 'r1',
    }; // prettier-ignore
    server.on('GET /api/v1/audit', { body: { items: [entry], next: null } });
    const { out } = await sluice('audit --app web --actor admin/ci --result done --after 2026-11-20');
    expect(out).toMatch(/\n30 s ago +admin\/ci +publishBuild +web build 7 +done \(200\) +203\.0\.113\.7\n$/);
    expect(server.received[0]?.url).toBe(
      '/api/v1/audit?app=web&actor=admin%2Fci&result=done&after=2026-11-20T00%3A00%3A00.000Z&limit=50',
    );
    expect((await sluice('audit --result nope')).code).toBe(2);
    expect((await sluice('audit --after yesterday')).code).toBe(2);
  });
});

describe('a token that is not enough', () => {
  it('is told as the API says it', async () => {
    server.on('POST /api/v1/build', {
      status: 403,
      body: problem(403, { message: 'Not enough permissions: no scope' }),
    });
    expect(await sluice('create web dev')).toMatchObject({
      code: 2,
      err: 'sluice: Not enough permissions: no scope.\n',
    });
  });
});
