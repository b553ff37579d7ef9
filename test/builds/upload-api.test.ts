import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BuildView, JobView, TransfersView } from '../../functions/api/build-shapes.ts';
import { requestDeployment } from '../../functions/deployments/request.ts';
import { purgeBuild } from '../../functions/builds/purge.ts';
import { changeUpload } from '../../functions/builds/upload-store.ts';
import { alone, blob, buildsService, bundle, type BuildsService, type NamedBytes } from '../support/builds-service.ts';
import { mixed } from '../support/flat-manager.ts';
import { until } from '../support/scripted-cloud.ts';

let world: BuildsService;
beforeAll(async () => {
  world = await buildsService({ objectBytes: 1000 });
  await world.apply('web', { ...alone, appId: 'org.acme.Web' });
});
afterAll(async () => await world.close());

type Options = Parameters<BuildsService['api']['request']>[2];
const ask = async (method: string, path: string, options?: Options) =>
  await world.api.request(method, `/api/v1${path}`, options);
async function json<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await ask(method, path, body === undefined ? {} : { body });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}
const create = async (body: Record<string, unknown> = {}) =>
  await json<BuildView>('POST', '/build', { repo: 'dev', 'app-id': 'org.acme.Web', ...body });
const send = async (id: number, objects: readonly NamedBytes[]) =>
  await ask('POST', `/build/${id}/upload`, {
    body: mixed('the-boundary', objects),
    headers: { 'content-type': 'multipart/mixed; boundary=the-boundary' },
  });
/** A problem as flat-manager's clients read it. */
async function problem(response: Response) {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const body = (await response.json()) as Record<string, unknown>;
  expect(body['status']).toBe(response.status);
  const { message, 'error-type': type, 'current-state': current, 'expected-state': expected } = body;
  return { status: response.status, type, message, ...(current ? { current, expected } : {}) };
}
async function committed(text: string, repo = 'dev') {
  const made = bundle(text);
  const { id } = await create({ repo });
  await send(id, [made]);
  await json('POST', `/build/${id}/build_ref`, { ref: 'app/org.acme.Web/x86_64/main', commit: made.hex });
  const job = await json<JobView>('POST', `/build/${id}/commit`, {});
  await world.ended(job.id);
  return { id, job: job.id, made };
}

describe('the protocol of builds', () => {
  it('goes its whole way: create, send, refer, commit, publish, purge', async () => {
    const made = bundle('whole way');
    const build = await create({ 'build-log-url': 'https://ci.example.com/1' });
    expect(build).toMatchObject({
      repo_state: 0,
      published_state: 0,
      repo: 'dev',
      app_id: 'org.acme.Web',
      app: 'web',
      extra_ids: [],
      build_log_url: 'https://ci.example.com/1',
      token_name: 'admin',
      kind: 'upload',
    });
    expect(Object.keys(build)).not.toContain('repo_state_reason');
    expect(await (await send(build.id, [made, blob('x')])).json()).toEqual([made.bytes.byteLength, 1]);
    const ref = { ref: 'app/org.acme.Web/x86_64/main', commit: made.hex };
    const put = await json('POST', `/build/${build.id}/build_ref`, ref);
    expect(put).toEqual({
      id: put['id'],
      build_id: build.id,
      ref_name: ref.ref,
      commit: made.hex,
      build_log_url: null,
    });
    expect(await json('GET', `/build/${build.id}/build_ref/${String(put['id'])}`)).toEqual(put);
    const ids = await json<BuildView>('POST', `/build/${build.id}/add_extra_ids`, { ids: ['a.b', 'a.b', 'c'] });
    expect(ids.extra_ids).toEqual(['a.b', 'c']);
    const job = await json<JobView>('POST', `/build/${build.id}/commit`, { 'drop-strays': true, endoflife: null });
    expect(job).toMatchObject({ kind: 0, start_after: null, repo: 'dev' });
    expect(Object.keys(job)).not.toContain('results');
    await world.ended(job.id);
    const done = await json<JobView>('GET', `/build/${build.id}/commit`);
    expect(done).toMatchObject({ id: job.id, status: 2 });
    expect(JSON.parse(done.results!)).toMatchObject({ kind: 'bundle', objects: 1 });
    const published = await json<JobView>('POST', `/build/${build.id}/publish`, {});
    expect(await json<JobView>('POST', `/build/${build.id}/publish`, {})).toMatchObject({ id: published.id });
    await world.ended(published.id);
    await world.calm();
    const extended = await json<{ build: BuildView }>('GET', `/build/${build.id}/extended`);
    expect(extended.build).toMatchObject({ repo_state: 2, published_state: 2, publish_job_id: published.id });
    expect(await json('POST', `/build/${build.id}/purge`)).toMatchObject({ repo_state: 5 });
  });

  it('tells a job’s log from an offset on, to a GET with a body', async () => {
    const { id, job } = await committed('logged');
    const whole = await json<JobView>('GET', `/job/${job}`);
    expect(whole.log.length).toBeGreaterThan(20);
    // oxlint-disable-next-line no-control-regex -- counted in bytes by one client and in characters by another
    expect(whole.log).toMatch(/^[\x00-\x7f]*$/);
    for (const path of [`/job/${job}`, `/build/${id}/commit`]) {
      const rest = await json<JobView>('QUERY', path, { 'log-offset': 10 });
      expect(rest.log).toBe(whole.log.slice(10));
      expect((await json<JobView>('QUERY', path, { 'log-offset': whole.log.length })).log).toBe('');
      expect((await json<JobView>('QUERY', path, { 'log-offset': null })).log).toBe(whole.log);
    }
    expect(await problem(await ask('QUERY', `/job/${job}`, { body: { 'log-offset': -1 } }))).toMatchObject({
      status: 400,
      type: 'generic-error',
    });
  });

  it('asks what is missing by a GET whose body is packed', async () => {
    const { id } = await create();
    const [there, gone] = [blob('there'), blob('gone')];
    await send(id, [there]);
    const body = gzipSync(JSON.stringify({ wanted: [there.name, gone.name] }));
    const headers = { 'content-encoding': 'gzip', 'content-type': 'application/json' };
    const answer = await ask('QUERY', `/build/${id}/missing_objects`, { body, headers });
    expect(await answer.json()).toEqual({ missing: [gone.name] });
    const wrong = await ask('QUERY', `/build/${id}/missing_objects`, { body: { wanted: ['no name'] } });
    expect(await problem(wrong)).toMatchObject({ status: 400, type: 'generic-error' });
    const packedBadly = await ask('QUERY', `/build/${id}/missing_objects`, { body: Buffer.from('no gzip'), headers });
    expect((await problem(packedBadly)).status).toBe(400);
  });

  it('tells where the parts of an object are to be put, and what is wrong with a call', async () => {
    const { id } = await create();
    const made = blob('in parts');
    const objects = [{ name: made.name, sizeBytes: 8 }];
    const first = await json<TransfersView>('POST', `/build/${id}/uploads`, { objects });
    expect(first.objects).toMatchObject([{ name: made.name, status: 'open', partCount: 1, missingCount: 1 }]);
    for (const body of [{}, { objects: [] }, { objects: [{ name: made.name }] }, { objects, more: 1 }]) {
      expect(await problem(await ask('POST', `/build/${id}/uploads`, { body }))).toMatchObject({
        status: 400,
        type: 'generic-error',
      });
    }
  });

  it.each([
    [
      { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'builds.example.com' },
      'https://builds.example.com/api/v1/build/',
    ],
    [
      { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'example.com', 'x-forwarded-prefix': '/sluice' },
      'https://example.com/sluice/api/v1/build/',
    ],
    [{}, 'http://localhost/api/v1/build/'],
  ])('names a build absolutely, as its client reaches it: %j', async (headers, base) => {
    const answer = await ask('POST', '/build', { body: { repo: 'dev', 'app-id': 'web' }, headers });
    const { id } = (await answer.json()) as BuildView;
    expect(answer.headers.get('location')).toBe(`${base}${id}`);
  });
});

describe('what the protocol refuses', () => {
  it('names the state that a build is in, and the one it would have to be in', async () => {
    const { id, made } = await committed('states');
    const fresh = await create();
    expect(await problem(await ask('POST', `/build/${id}/commit`, { body: {} }))).toEqual({
      status: 400,
      type: 'wrong-repo-state',
      message: 'Build is already committed',
      current: 'ready',
      expected: 'uploading',
    });
    expect(await problem(await send(id, [made]))).toMatchObject({ status: 400, type: 'wrong-repo-state' });
    expect(await problem(await ask('POST', `/build/${fresh.id}/publish`, { body: {} }))).toMatchObject({
      status: 400,
      type: 'wrong-repo-state',
      current: 'uploading',
      expected: 'ready',
    });
  });

  it('is not found where there is nothing', async () => {
    const { id } = await create();
    for (const path of [
      '/build/7',
      '/build/7/extended',
      '/job/7',
      `/build/${id}/commit`,
      `/build/${id}/publish`,
      `/build/${id}/build_ref/7`,
      `/build/${id}/check/lint/job`,
    ]) {
      const told = await problem(await ask('GET', path));
      expect([path, told.status, told.type]).toEqual([path, 404, 'not-found']);
    }
    for (const app of ['nobody', 'org.nobody.App']) {
      expect((await problem(await ask('POST', '/build', { body: { repo: 'dev', 'app-id': app } }))).status).toBe(404);
    }
    expect((await problem(await ask('POST', '/build', { body: { repo: 'nowhere', 'app-id': 'web' } }))).status).toBe(
      404,
    );
  });

  it('is a 403 for a token of another app, and a 401 for none', async () => {
    const { id } = await committed('of others');
    const minted = await json<{ token: string }>('POST', '/token_subset', {
      name: 'other',
      sub: 'build',
      duration: 600,
      scope: ['build', 'upload', 'publish', 'jobs'],
      apps: ['other'],
    });
    const headers = { authorization: `Bearer ${minted.token}` };
    const refusals = [
      await ask('GET', `/build/${id}`, { headers }),
      await ask('POST', `/build/${id}/publish`, {
        body: {},
        headers: { ...headers, 'content-type': 'application/json' },
      }),
      await ask('POST', `/build/${id}/purge`, { headers }),
      await ask('POST', '/build', {
        body: { repo: 'dev', 'app-id': 'web' },
        headers: { ...headers, 'content-type': 'application/json' },
      }),
    ];
    for (const refused of refusals) {
      expect(await problem(refused)).toMatchObject({ status: 403, type: 'token-insufficient' });
    }
    const nobody = await ask('GET', `/build/${id}`, { headers: { authorization: 'Bearer none' } });
    expect(await problem(nobody)).toMatchObject({ status: 401, type: 'invalid-token' });
    const list = await ask('GET', '/build', { headers });
    expect(await list.json()).toEqual([]);
  });

  it('is too large in words, and names the object', async () => {
    const { id } = await create();
    const large = blob('x'.repeat(1001));
    const told = await problem(await send(id, [large]));
    expect(told.status).toBe(413);
    expect(told.message).toContain(large.name);
  });

  it('is a part without a name', async () => {
    const { id } = await create();
    const body = Buffer.from('--b\r\nContent-Type: application/octet-stream\r\n\r\nbytes\r\n--b--\r\n');
    const answer = await ask('POST', `/build/${id}/upload`, {
      body,
      headers: { 'content-type': 'multipart/mixed; boundary=b' },
    });
    expect(await problem(answer)).toMatchObject({ status: 400, type: 'generic-error' });
  });

  it('is a ref of another app, or none', async () => {
    const { id } = await create();
    await world.apply('shop', alone);
    const commit = 'a'.repeat(64);
    for (const ref of ['app/shop/x86_64/main', 'app/org.acme.Website/x86_64/main', 'branch', 'app/web/../main']) {
      const told = await problem(await ask('POST', `/build/${id}/build_ref`, { body: { ref, commit } }));
      expect([ref, told.status]).toEqual([ref, 400]);
    }
    for (const ref of ['app/web/x86_64/main', 'runtime/org.acme.Web.Locale/x86_64/main', 'screenshots/x86_64']) {
      expect(await json('POST', `/build/${id}/build_ref`, { ref, commit })).toMatchObject({ ref_name: ref });
    }
  });
});

describe('the states of a build', () => {
  it.each([
    [{ state: { status: 'uploading', reason: 'x is missing' } }, { repo_state: 0, repo_state_reason: 'x is missing' }],
    [{ state: { status: 'committing', jobId: 7 } }, { repo_state: 1 }],
    [{ state: { status: 'ready' } }, { repo_state: 2 }],
    [{ state: { status: 'failed', reason: 'lint' } }, { repo_state: 3, repo_state_reason: 'lint' }],
    [{ state: { status: 'purging' } }, { repo_state: 4 }],
    [{ state: { status: 'purged' } }, { repo_state: 5 }],
    [{ state: { status: 'validating' } }, { repo_state: 6 }],
    [{ published: { status: 'publishing', jobId: 8, by: 'ann' } }, { published_state: 1 }],
    [{ published: { status: 'published', jobId: 8, by: 'ann', at: 1 } }, { published_state: 2 }],
    [{ published: { status: 'failed', reason: 'gone' } }, { published_state: 3, published_state_reason: 'gone' }],
  ] as const)('are told by their numbers: %j', async (states, numbers) => {
    const { id } = await create();
    const before = await json<BuildView>('GET', `/build/${id}`);
    await changeUpload(world.ports.records, id, (build) => ({ ...build, ...states }));
    expect(await json('GET', `/build/${id}`)).toEqual({ ...before, ...numbers });
    const [word] = Object.values(states);
    const query = 'state' in states ? `state=${word.status}` : `published=${word.status}`;
    const found = await json<BuildView[]>('GET', `/build?${query}&limit=200`);
    expect(found.map((build) => build.id)).toContain(id);
  });
});

describe('the list of builds', () => {
  let app: BuildsService;
  const list = async (query = '') => {
    const response = await app.api.request('GET', `/api/v1/build${query}`);
    if (response.status !== 200) throw new Error(await response.text());
    return { builds: (await response.json()) as BuildView[], headers: response.headers };
  };
  beforeAll(async () => {
    app = await buildsService();
    await app.apply('web', {
      ...alone,
      source: { repoUrl: 'https://github.com/acme/web' },
      build: { kind: 'bundle' },
    });
    await app.apply('shop', alone);
  });
  afterAll(async () => await app.close());

  it('tells of builds by upload and by Git, newest first, in the same words', async () => {
    const upload = await app.create('web');
    app.pass(1000);
    app.script.build = () => 'never';
    const source = { kind: 'source', ref: 'main', commit: 'c'.repeat(40) } as const;
    const trigger = { kind: 'api', actor: 'ann' } as const;
    const place = { app: 'web', environment: 'dev' };
    const { id } = await requestDeployment(app.ports, { ...place, request: source, trigger });
    const first = await until(
      async () => (await list()).builds,
      (builds) => builds.length === 2,
    );
    expect(first.map(({ kind }) => kind)).toEqual(['bundle', 'upload']);
    expect(first[0]).toMatchObject({
      repo_state: 0,
      published_state: 0,
      repo: 'dev',
      deployment: id,
      build: id,
      token_name: 'ann',
    });
    app.script.fleet = () => ({ ends: 'never' });
    await until(
      async () => app.builder.started.length,
      (count) => count === 1,
    );
    app.builder.release();
    await app.reached(id, 'rolling');
    expect((await list()).builds[0]).toMatchObject({ repo_state: 2, published_state: 1 });
    app.fleet.release();
    await app.settled(id);
    const [made] = (await list()).builds;
    expect(made).toMatchObject({ repo_state: 2, published_state: 2, artifact: { kind: 'bundle' } });
    for (const name of [made!.id, made!.build]) {
      const answer = await app.api.request('GET', `/api/v1/build/${name}`);
      expect(await answer.json()).toEqual(made);
    }
    app.pass(1000);
    app.script.build = () => 'failed';
    app.script.fleet = () => ({ ends: 'succeeded' });
    const again = { ...source, commit: 'd'.repeat(40) };
    const failed = await requestDeployment(app.ports, { ...place, request: again, trigger });
    await app.settled(failed.id);
    expect((await list()).builds[0]).toMatchObject({
      repo_state: 3,
      published_state: 0,
      repo_state_reason: expect.any(String),
    });
    await purgeBuild(app.ports, upload);
  });

  it('finds by app, environment and states, and leaves out what is purged', async () => {
    const made = await app.create('shop', 'test');
    const purged = await app.create('shop');
    await purgeBuild(app.ports, purged);
    const ready = await app.committedBundle('in the list', { app: 'shop' });
    const idsOf = async (query: string) => (await list(query)).builds.map(({ id }) => id);
    expect(await idsOf('?app-id=shop')).toEqual([ready, made]);
    expect(await idsOf('?app-id=shop&state=purged')).toEqual([purged]);
    expect(await idsOf('?app-id=shop&state=ready')).toEqual([ready]);
    expect(await idsOf('?app-id=shop&repo=test')).toEqual([made]);
    expect(await idsOf('?app-id=shop&published=published')).toEqual([]);
    const refused = await app.api.request('GET', '/api/v1/build?state=anything');
    expect(refused.status).toBe(400);
  });

  it('goes page by page, by a link to the next one, until there is no more', async () => {
    for (let index = 0; index < 7; index += 1) {
      app.pass(10);
      await app.create('shop', 'dev');
    }
    const all = (await list('?repo=dev')).builds.map(({ id }) => id);
    const seen: number[] = [];
    let query: string | undefined = '?repo=dev&limit=3';
    let pages = 0;
    while (query !== undefined) {
      const { builds, headers } = await list(query);
      expect(builds.length).toBeLessThanOrEqual(3);
      seen.push(...builds.map(({ id }) => id));
      pages += 1;
      const cursor = headers.get('x-next-cursor');
      const next = /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1];
      expect(next === undefined).toBe(cursor === null);
      if (next !== undefined) {
        const url = new URL(next);
        expect(Object.fromEntries(url.searchParams)).toEqual({ repo: 'dev', limit: '3', cursor });
        query = url.search;
      } else query = undefined;
    }
    expect(seen).toEqual(all);
    expect(pages).toBeGreaterThan(3);
  });
});
