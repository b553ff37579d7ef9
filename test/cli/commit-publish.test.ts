import { describe, expect, it, beforeEach } from 'vitest';
import { runCli } from '../../cli/program.ts';
import { artifact, brokenJob, check, endedJob, extended, job } from './build-fixtures.ts';
import { calling, documents, wrongState } from './calling.ts';
import { ended, event, events, id, problem } from './fixtures.ts';

const { server, sluice, worldFor } = calling();

describe('commit', () => {
  const route = 'POST /api/v1/build/7/commit';
  const follow = 'QUERY /api/v1/build/7/commit';
  const look = 'GET /api/v1/build/7/extended';
  beforeEach(() => {
    server().on(route, { body: job() });
    server().on(follow, { body: job({ log: 'one\ntw' }) }, { body: endedJob({ artifact, kind: 'image' }, 'o\nthree') });
    server().on(look, { body: extended({ repo_state: 2 }) });
  });

  it('prints the log of the job in whole lines while it is written, and then what was made', async () => {
    const { code, out } = await sluice('commit 7');
    expect(code).toBe(0);
    expect(out).toBe('  | one\n  | two\n  | three\nBuild 7 is committed: image sha256:bbbbbbbbbbbb…\n');
    expect(
      server()
        .calls(follow)
        .map(({ body }) => body),
    ).toEqual([{ 'log-offset': 0 }, { 'log-offset': 6 }]);
    expect(server().calls(route)[0]?.body).toEqual({});
  });

  it('--json is a line for each of the log, and the end', async () => {
    const lines = documents((await sluice('commit 7 --drop-strays --json')).out);
    expect(lines.slice(0, 3)).toEqual(['one', 'two', 'three'].map((text) => ({ type: 'log', job: 42, text })));
    expect(lines.at(-1)).toMatchObject({ type: 'commit', build: 7, status: 'committed', results: { artifact } });
    expect(server().calls(route)[0]?.body).toEqual({ 'drop-strays': true });
  });

  it('that fails prints all that is missing, exits with 1, and says how to go on', async () => {
    server().on(follow, {
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
    server().on(route, wrongState(state));
    const { code, out, err } = await sluice('commit 7');
    expect({ code, err }).toEqual({ code: 0, err: `Build 7 has been committed already; it is ${state}.\n` });
    expect(out).toContain('Build 7 is committed');
  });

  it('of what is committed is done', async () => {
    server().on(route, wrongState('ready'));
    expect(await sluice('commit 7')).toMatchObject({ code: 0, out: 'Build 7 is committed.\n' });
    expect(server().calls(follow)).toHaveLength(0);
  });

  it.each(['purged', 'failed'])('of what is %s is refused', async (state) => {
    server().on(route, wrongState(state));
    expect((await sluice('commit 7')).code).toBe(2);
  });

  it('asks again when the answer was lost, as somebody has committed it then', async () => {
    server().on(route, { cut: true }, wrongState('committing'));
    expect((await sluice('commit 7')).code).toBe(0);
    expect(server().calls(route)).toHaveLength(2);
  });

  it('follows the checks, and is done when they are', async () => {
    server().on(
      look,
      { body: extended({ repo_state: 1 }) },
      { body: extended({ repo_state: 6 }, [check()]) },
      { body: extended({ repo_state: 2 }, [check({ status: 1 })]) },
    );
    server().on('QUERY /api/v1/build/7/check/lint/job', { body: endedJob({}, 'all fine\n') });
    const { code, out, err } = await sluice('commit 7');
    expect(code).toBe(0);
    expect(err).toBe('Check lint:\n');
    expect(out).toContain('  | all fine\nBuild 7 is committed');
  });

  it('fails with the check that failed', async () => {
    const reason = '1 out of 1 checks failed (lint)';
    server().on(look, { body: extended({ repo_state: 3, repo_state_reason: reason }, [check({ status: 3 })]) });
    expect(await sluice('commit 7')).toMatchObject({
      code: 1,
      out: expect.stringContaining(`Build 7 is failed: ${reason}\n`),
    });
  });

  it('does not wait for a person: a check that is to be reviewed is told, with its job', async () => {
    server().on(look, { body: extended({ repo_state: 6 }, [check({ status: 4, status_reason: 'two warnings' })]) });
    expect(await sluice('commit 7')).toMatchObject({
      code: 1,
      out: expect.stringContaining('check lint waits for a review (two warnings): sluice review 43 passed'),
    });
  });

  it('stops following at Ctrl-C, and says how to follow it again', async () => {
    const world = worldFor();
    server().on(follow, { body: job({ log: 'begun\n' }) });
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
    server().on(route, { body: job({ kind: 1 }) });
    server().on(follow, { body: endedJob({ deployment: id, artifact }, 'moved\n') });
    server().on(view, { body: ended('succeeded') });
    server().on(`${view}/events`, { body: events([event(1, 'succeeded')], true) });
  });

  it('follows the job, and then the deployment to its end', async () => {
    const { code, out } = await sluice('publish 7');
    expect(code).toBe(0);
    expect(out).toMatch(/^ {2}\| moved\nPublishing build 7: done\.\nDeployment .*\n.*It is succeeded now\n.*succeeded/);
  });

  it('exits with 1 when the deployment failed', async () => {
    server().on(view, { body: ended('rolled_back', 'unhealthy') });
    server().on(`${view}/events`, { body: events([event(1, 'rolled_back')], true) });
    expect((await sluice('publish 7')).code).toBe(1);
  });

  it('exits with 1 when the job failed, and follows no deployment', async () => {
    server().on(follow, { body: brokenJob('the environment is gone') });
    expect(await sluice('publish 7')).toMatchObject({
      code: 1,
      out: 'Publishing build 7 failed: the environment is gone\n',
    });
    expect(server().calls(view)).toHaveLength(0);
  });

  it.each(['publishing', 'published'])('of what is %s follows that', async (state) => {
    server().on(route, wrongState(state, 'wrong-published-state'));
    expect(await sluice('publish 7')).toMatchObject({ code: 0, err: `Build 7 is ${state} already.\n` });
  });

  it.each([
    ['not committed', 'uploading', 'wrong-repo-state'],
    ['still checked', 'validating', 'wrong-repo-state'],
    ['one whose publication failed', 'failed', 'wrong-published-state'],
  ])('of what is %s is refused', async (_what, state, type) => {
    server().on(route, wrongState(state, type));
    expect((await sluice('publish 7')).code).toBe(2);
  });

  it('is done where nothing is deployed, as of OSTree', async () => {
    server().on(follow, { body: endedJob({ refs: {} }) });
    expect(await sluice('publish 7')).toMatchObject({ code: 0, out: 'Publishing build 7: done.\n' });
  });

  it('says so when the token may publish and not follow what comes of it', async () => {
    server().on(view, { status: 403, body: problem(403, { message: 'Not enough permissions' }) });
    expect(await sluice('publish 7')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/It is published, and deployment .* goes on; .* needs the scope "read"/),
    });
  });

  it('--no-follow does not wait', async () => {
    expect(await sluice('publish 7 --no-follow')).toMatchObject({ code: 0, out: 'Build 7 is being published.\n' });
    expect(server().calls(follow)).toHaveLength(0);
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
    server().on(route, { status: 202, body: job({ kind: 1 }) });
    server().on('QUERY /api/v1/job/42', { body: endedJob({ deployment: id }) });
    server().on(`GET /api/v1/deployments/${id}`, { body: ended('succeeded') });
    server().on(`GET /api/v1/deployments/${id}/events`, { body: events([event(1, 'succeeded')], true) });
  });

  it("brings the parent's artifact, or the one named, and follows its deployment", async () => {
    expect(await sluice('promote web stable')).toMatchObject({
      code: 0,
      out: expect.stringContaining('Promoting web to stable: done.'),
    });
    await sluice(`promote web stable --artifact ${artifact} --no-follow`);
    expect(
      server()
        .calls(route)
        .map(({ body }) => body),
    ).toEqual([{}, { artifact }]);
  });

  it('is never asked for twice', async () => {
    server().on(route, { cut: true });
    expect(await sluice('promote web stable')).toMatchObject({
      code: 3,
      err: expect.stringContaining('see: sluice list --app web --environment stable'),
    });
    expect(server().calls(route)).toHaveLength(1);
  });
});
