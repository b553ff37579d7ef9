import { describe, expect, it } from 'vitest';
import { artifact, brokenJob, build, endedJob, job } from './build-fixtures.ts';
import { calling, documents } from './calling.ts';
import { ended, event, events, id, problem } from './fixtures.ts';

const { server, sluice } = calling();

describe('create', () => {
  const route = 'POST /api/v1/build';

  it('prints the URL of the new build, and nothing else', async () => {
    server().on(route, { body: build() });
    const { code, out, err } = await sluice('create web dev --build-log-url https://ci.example/7');
    expect({ code, out, err }).toEqual({ code: 0, out: `${server().url}/api/v1/build/7\n`, err: '' });
    expect(server().received[0]?.body).toEqual({
      repo: 'dev',
      'app-id': 'web',
      'build-log-url': 'https://ci.example/7',
    });
  });

  it('--json is the build with its URL', async () => {
    server().on(route, { body: build() });
    const [document] = documents((await sluice('create web dev --json')).out);
    expect(document).toEqual({ ...build(), url: `${server().url}/api/v1/build/7` });
  });

  it('is never asked for twice, and says how to look when the answer was lost', async () => {
    server().on(route, { cut: true });
    expect(await sluice('create web dev')).toMatchObject({
      code: 3,
      err: expect.stringContaining('see: sluice builds --app web --environment dev'),
    });
    expect(server().calls(route)).toHaveLength(1);
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
    server().on(
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
    expect(server().received.map(({ url }) => url.split('?')[1])).toEqual([
      'app-id=web&repo=dev&state=uploading&limit=2',
      'app-id=web&repo=dev&state=uploading&cursor=c1&limit=1',
    ]);
  });

  it('--json holds the cursor to go on with; without builds there is a sentence', async () => {
    server().on('GET /api/v1/build', { body: [build()], headers: { 'x-next-cursor': 'c1' } }, { body: [] });
    expect(documents((await sluice('builds --limit 1 --json')).out)).toEqual([{ items: [build()], next: 'c1' }]);
    expect((await sluice('builds')).out).toBe('There are no such builds.\n');
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
    server().on(route, { body: pointer }, { body: pointer }, { body: { ...pointer, current: null, history: [] } });
    expect((await sluice('published web dev')).out).toMatch(
      /^ARTIFACT +KIND +WHEN +FROM +BY\nsha256:b{64} +image +30 s ago +build 7 +ci\nsha256:b{64} +image +30 s ago +beta +ci\n$/,
    );
    expect(documents((await sluice('published web dev --json')).out)).toEqual([pointer]);
    expect((await sluice('published web dev')).out).toBe('Nothing has been published there.\n');
  });

  it('republish follows the deployment', async () => {
    server().on('POST /api/v1/repo/dev/republish', { body: job({ kind: 3 }) });
    server().on('QUERY /api/v1/job/42', { body: endedJob({ deployment: id }) });
    server().on(`GET /api/v1/deployments/${id}`, { body: ended('succeeded') });
    server().on(`GET /api/v1/deployments/${id}/events`, { body: events([event(1, 'succeeded')], true) });
    expect(await sluice('republish web dev')).toMatchObject({
      code: 0,
      out: expect.stringContaining('Publishing web in dev again: done.'),
    });
    expect(server().received[0]?.body).toEqual({ app: 'web' });
  });

  it('hooks lists what was given up, and calls it again', async () => {
    const contents = JSON.stringify({ app: 'web', hook: 'tell', environment: 'dev', artifact });
    const dead = { ...brokenJob('it answered 500'), id: 44, kind: 6, contents };
    server().on('GET /api/v1/hooks/dead', { body: { items: [dead], next: null } });
    server().on('POST /api/v1/job/44/retry', { body: job({ id: 44, kind: 6 }) });
    expect((await sluice('hooks list')).out).toMatch(
      /^JOB +APP +ENVIRONMENT +HOOK +WHY\n44 +web +dev +tell +it answered 500\n$/,
    );
    expect(await sluice('hooks retry 44')).toMatchObject({ code: 0, out: 'The hook of job 44 is called again.\n' });
  });
});

describe('create-token', () => {
  const route = 'POST /api/v1/token_subset';
  const minted = { token: 'eyJ.value', id: 'j1', name: 'admin/ci', expires: '2026-11-21T10:00:00.000Z' };

  it('prints the token alone, and asks for what it is told', async () => {
    server().on(route, { body: minted });
    const { out, err } = await sluice(
      'create-token ci build build upload --duration 1h --app web --app shop --prefix org.a --repo dev --environment dev',
    );
    expect({ out, err }).toEqual({ out: 'eyJ.value\n', err: '' });
    await sluice('create-token one build/7 upload');
    expect(
      server()
        .calls(route)
        .map(({ body }) => body),
    ).toEqual([
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
    server().on(route, { body: minted });
    await sluice(`create-token ci build upload --duration ${text}`);
    expect(server().received[0]?.body).toMatchObject({ duration: seconds });
  });

  it.each(['0', '-1', '1w', 'h', '1.5h'])('refuses %s as one', async (text) => {
    expect((await sluice(`create-token ci build upload --duration ${text}`)).code).toBe(2);
    expect(server().received).toEqual([]);
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
    server().on('GET /api/v1/tokens', { body: { items: [token, revoked, expired], next: null } });
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
    server().on('POST /api/v1/tokens/revoke', { status: 204 });
    expect(await sluice('tokens revoke j1 j2')).toMatchObject({
      code: 0,
      out: 'Token j1 is revoked.\nToken j2 is revoked.\n',
    });
    expect(server().received[0]?.body).toEqual({ token_ids: ['j1', 'j2'] });
  });

  it('audit filters, and shows who did what on what', async () => {
    const entry = {
      id: 'e1', at: '2026-11-20T10:00:00.000Z', actor: 'admin/ci', token: 'j1', action: 'publishBuild', method: 'POST',
      route: '/api/v1/build/:id/publish', path: null, app: 'web', environment: null, build: '7', tokens: [], status: 200,
      result: 'done', address: '203.0.113.7', requestId: 'r1',
    }; // prettier-ignore
    server().on('GET /api/v1/audit', { body: { items: [entry], next: null } });
    const { out } = await sluice('audit --app web --actor admin/ci --result done --after 2026-11-20');
    expect(out).toMatch(/\n30 s ago +admin\/ci +publishBuild +web build 7 +done \(200\) +203\.0\.113\.7\n$/);
    expect(server().received[0]?.url).toBe(
      '/api/v1/audit?app=web&actor=admin%2Fci&result=done&after=2026-11-20T00%3A00%3A00.000Z&limit=50',
    );
    expect((await sluice('audit --result nope')).code).toBe(2);
    expect((await sluice('audit --after yesterday')).code).toBe(2);
  });
});

describe('a token that is not enough', () => {
  it('is told as the API says it', async () => {
    server().on('POST /api/v1/build', {
      status: 403,
      body: problem(403, { message: 'Not enough permissions: no scope' }),
    });
    expect(await sluice('create web dev')).toMatchObject({
      code: 2,
      err: 'sluice: Not enough permissions: no scope.\n',
    });
  });
});
