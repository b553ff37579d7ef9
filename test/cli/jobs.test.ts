import { describe, expect, it } from 'vitest';
import { runCli } from '../../cli/program.ts';
import { brokenJob, build, endedJob, job } from './build-fixtures.ts';
import { refusal } from './builds-service.ts';
import { calling, documents } from './calling.ts';

const { server, sluice, worldFor } = calling();

describe('purge', () => {
  const route = 'POST /api/v1/build/7/purge';
  const look = 'GET /api/v1/build/7';

  it('waits until it is done', async () => {
    server().on(route, { body: build({ repo_state: 4 }) });
    server().on(look, { body: build({ repo_state: 4 }) }, { body: build({ repo_state: 5 }) });
    expect(await sluice('purge 7')).toMatchObject({ code: 0, out: 'Build 7 is purged.\n' });
  });

  it('of what is being purged waits for that, and of what is in use is refused', async () => {
    const inUse = { status: 400, body: refusal(400, 'generic-error', { message: "Can't prune build while in use" }) };
    server().on(route, inUse);
    server().on(look, { body: build({ repo_state: 4 }) }, { body: build({ repo_state: 5 }) });
    expect((await sluice('purge 7')).code).toBe(0);
    server().on(look, { body: build({ repo_state: 1 }) });
    expect(await sluice('purge 7')).toMatchObject({ code: 2, err: "sluice: Can't prune build while in use.\n" });
  });
});

describe('follow-job', () => {
  it.each(['42', '/api/v1/job/42'])('follows %s to its end', async (text) => {
    server().on('QUERY /api/v1/job/42', { body: job({ log: 'a\n' }) }, { body: endedJob({ freed: 1 }, 'b\n') });
    const { code, out } = await sluice(`follow-job ${text.startsWith('/') ? server().url : ''}${text}`);
    expect({ code, out }).toEqual({ code: 0, out: '  | a\n  | b\nJob 42: done.\n' });
  });

  it('exits with 1 when it failed, and shows nothing that moves the cursor', async () => {
    server().on('QUERY /api/v1/job/42', { body: brokenJob('no\u001b[2J', 'x\u001b[31m\n') });
    expect(await sluice('follow-job 42')).toMatchObject({ code: 1, out: '  | x\nJob 42 failed: no\n' });
  });

  it('asks less often while nothing happens', async () => {
    const quiet = Array.from({ length: 7 }, () => ({ body: job() }));
    server().on('QUERY /api/v1/job/42', ...quiet, { body: endedJob() });
    const world = worldFor();
    expect(await runCli(['follow-job', '42'], world)).toBe(0);
    expect(world.pauses).toEqual([300, 1000, 2000, 3000, 4000, 5000, 5000]);
  });

  it.each(['https://elsewhere.example/api/v1/job/42', 'x', '/api/v1/build/42'])('refuses %s', async (text) => {
    const url = text.startsWith('/') ? server().url : '';
    expect((await sluice(`follow-job ${url}${text}`)).code).toBe(2);
    expect(server().received).toEqual([]);
  });
});

describe('prune', () => {
  it('says what it frees by the log of its job', async () => {
    server().on('POST /api/v1/prune', { body: job({ kind: 5 }) });
    server().on('QUERY /api/v1/job/42', { body: endedJob({ blobs: 3 }, 'would free 3 blobs, 45 bytes\n') });
    expect(await sluice('prune --environment dev --app web --dry-run --keep-hours 2')).toMatchObject({
      code: 0,
      out: '  | would free 3 blobs, 45 bytes\nPruning, dry: done.\n',
    });
    await sluice('prune');
    expect(
      server()
        .calls('POST /api/v1/prune')
        .map(({ body }) => body),
    ).toEqual([{ repo: 'dev', app: 'web', 'dry-run': true, 'keep-hours': 2 }, {}]);
    expect(documents((await sluice('prune --json')).out).at(-1)).toMatchObject({ type: 'job', results: { blobs: 3 } });
  });
});

describe('review', () => {
  const route = 'POST /api/v1/job/43/check/review';

  it('says how a check counts, in the words of the builds service', async () => {
    server().on(route, { status: 204 });
    expect(await sluice('review 43 passed')).toMatchObject({ code: 0, out: 'The check of job 43 counts as passed.\n' });
    await sluice('review 43 failed --reason large');
    await sluice('review 43 warned --json');
    expect(
      server()
        .calls(route)
        .map(({ body }) => body),
    ).toEqual([
      { 'new-status': { status: 'Passed' } },
      { 'new-status': { status: 'Failed', reason: 'large' } },
      { 'new-status': { status: 'PassedWithWarnings' } },
    ]);
    expect((await sluice('review 43 maybe')).code).toBe(2);
    expect((await sluice('review 43')).code).toBe(2);
  });
});
