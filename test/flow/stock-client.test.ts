import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as golden from '../builds/objects/ostree-golden.ts';
import {
  exchange,
  mixed,
  pythonClient,
  rustClient,
  type StockAnswer,
  type StockClient,
  type StockObject,
} from '../support/flat-manager.ts';
import { rawConnection } from '../support/raw-http.ts';
import { startTestServer, testToken, type TestServer } from '../support/server.ts';

const ref = 'app/org.example.App/x86_64/stable';
const commit = golden.commits.last.name.slice(0, 64);
const metadata: readonly StockObject[] = [...Object.values(golden.folders), golden.dirmeta, golden.commits.last];
const files: readonly StockObject[] = Object.values(golden.files);
const encodedCommit = Buffer.from(commit, 'hex').toString('base64').slice(0, -1).replaceAll('/', '_');
const delta: StockObject = { name: `${encodedCommit}.superblock.delta`, bytes: Buffer.from('what a delta is made of') };
const names = (objects: readonly StockObject[]) => objects.map(({ name }) => name);
const sizes = (objects: readonly StockObject[]) => objects.map(({ bytes }) => bytes.length);

const clients: Readonly<Record<string, (token: string) => StockClient>> = { Python: pythonClient, Rust: rustClient };
/** One for each client, so that neither finds what the other has published. */
const environmentOf = (language: string) => language.toLowerCase();

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
  await server.apply('web', {
    appId: 'org.example.App',
    environments: [
      { name: 'stable', targets: [{ name: 'web' }] },
      ...Object.keys(clients).map((language) => ({ name: environmentOf(language), targets: [{ name: 'web' }] })),
      { name: 'checked', targets: [{ name: 'web' }], checks: [{ name: 'slow', command: 'sleep 60' }] },
    ],
  });
});
afterAll(async () => {
  await server.remove();
});

const admin = () => pythonClient(testToken);
/** Each answer that is no error is a 200: other good ones are failures to these clients. */
function good(answer: StockAnswer): StockAnswer {
  expect([answer.status, answer.text]).toEqual([200, answer.text]);
  return answer;
}
const location = ({ headers }: StockAnswer) => String(headers['location']);

async function create(client: StockClient, repo = 'stable'): Promise<string> {
  return location(good(await client.post(`${server.url}/api/v1/build`, { repo, 'app-id': 'org.example.App' })));
}
/** All that `push` does, in its order. */
async function push(client: StockClient, build: string): Promise<void> {
  for (const objects of [files, metadata]) {
    const { missing } = good(await client.missing(build, names(objects))).json;
    const wanted = objects.filter(({ name }) => (missing as string[]).includes(name));
    if (wanted.length > 0) good(await client.upload(build, wanted));
  }
  good(await client.post(`${build}/build_ref`, { ref, commit, 'build-log-url': null }));
}
/** Follows as both clients do: what is told of the log again is asked for from where it was left. */
async function follow(client: StockClient, url: string): Promise<{ job: Record<string, unknown>; log: string }> {
  for (let log = ''; ;) {
    const { json: job } = good(await client.get(url, { 'log-offset': log.length }));
    log += String(job['log']);
    if (Number(job['status']) > 1) return { job, log };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
async function committed(client: StockClient, build: string): Promise<void> {
  const asked = good(await client.post(`${build}/commit`, { endoflife: null, endoflife_rebase: null }));
  expect((await follow(client, location(asked))).job).toMatchObject({ status: 2 });
}

describe.each(Object.entries(clients))('flat-manager’s client in %s', (language, clientOf) => {
  const repo = environmentOf(language);

  it('creates, pushes, commits, publishes and purges a build, and follows its jobs', async () => {
    const client = clientOf(testToken);
    const created = good(
      await client.post(`${server.url}/api/v1/build`, {
        repo,
        'app-id': 'org.example.App',
        'build-log-url': 'https://ci.example/1',
      }),
    );
    const id = Number(created.json['id']);
    const build = location(created);
    expect(build).toBe(`${server.url}/api/v1/build/${id}`);
    expect(id > 0 && id < 2 ** 31).toBe(true);
    expect(created.json).toMatchObject({
      repo_state: 0,
      published_state: 0,
      repo,
      extra_ids: [],
      app_id: 'org.example.App',
      public_download: false,
      build_log_url: 'https://ci.example/1',
      token_type: null,
    });
    for (const name of ['repo_state_reason', 'published_state_reason', 'commit_job_id', 'publish_job_id'])
      expect(created.json).not.toHaveProperty(name);

    for (const objects of [metadata, files])
      expect(good(await client.missing(build, names(objects))).json).toEqual({ missing: names(objects) });
    for (const objects of [files, metadata, [delta]])
      expect(good(await client.upload(build, objects)).json).toEqual(sizes(objects));
    expect(good(await client.missing(build, names([...metadata, ...files]))).json).toEqual({ missing: [] });

    const made = good(
      await client.post(`${build}/build_ref`, { ref, commit, 'build-log-url': 'https://ci.example/2' }),
    );
    expect(made.json).toEqual({
      id: made.json['id'],
      build_id: id,
      ref_name: ref,
      commit,
      build_log_url: 'https://ci.example/2',
    });
    expect(location(made)).toBe(`${build}/build_ref/${String(made.json['id'])}`);
    expect(good(await client.get(location(made))).json).toEqual(made.json);
    const again = good(await client.post(`${build}/build_ref`, { ref, commit, 'build-log-url': null }));
    expect(again.json).toEqual({ ...made.json, build_log_url: null });

    const extra = 'org.example.App.Extra';
    for (const ids of [[extra], [extra, 'org.example.App.More'], []]) {
      const added = good(await client.post(`${build}/add_extra_ids`, { ids }));
      expect(location(added)).toBe(build);
    }
    expect(good(await client.get(build)).json).toMatchObject({ extra_ids: [extra, 'org.example.App.More'] });

    const committing = good(await client.post(`${build}/commit`, { endoflife: null, endoflife_rebase: null }));
    expect(committing.json).toMatchObject({ kind: 0, repo, start_after: null });
    expect([typeof committing.json['contents'], location(committing)]).toEqual(['string', `${build}/commit`]);
    // A null there stops the Python client.
    expect(committing.json['status'] === 2).toBe('results' in committing.json);
    const { job, log } = await follow(client, location(committing));
    expect(job).toMatchObject({ id: committing.json['id'], kind: 0, status: 2 });
    expect(JSON.parse(String(job['results']))).toMatchObject({ kind: 'ostree', refs: { [ref]: commit } });
    expect(log).toContain(`Committing ref ${ref} (${commit})`);
    // One client counts bytes of it and the other code points.
    expect(Buffer.byteLength(log)).toBe(log.length);
    const extended = good(await client.get(`${build}/extended`)).json;
    expect(extended).toMatchObject({
      build: { id, repo_state: 2, published_state: 0, commit_job_id: job['id'] },
      build_refs: [{ ref_name: ref, commit }],
      checks: [],
    });

    const publishing = good(await client.post(`${build}/publish`, {}));
    expect([publishing.json['kind'], location(publishing)]).toEqual([1, `${build}/publish`]);
    const published = await follow(client, location(publishing));
    expect(published.job).toMatchObject({ id: publishing.json['id'], status: 2 });
    expect(JSON.parse(String(published.job['results']))).toMatchObject({ refs: { [ref]: commit } });
    // An answer may be lost: who asks again is told of the same job.
    expect(good(await client.post(`${build}/publish`, {})).json['id']).toBe(publishing.json['id']);
    // Some ask with an empty body, and some from the middle of the log on.
    expect(good(await client.get(`${build}/publish`, {})).json['log']).toBe(published.log);
    const rest = good(await client.get(`${build}/publish`, { 'log-offset': 10 })).json['log'];
    expect(rest).toBe(published.log.slice(10));
    const byNumber = `${server.url}/api/v1/job/${String(publishing.json['id'])}`;
    expect((await follow(client, byNumber)).log).toBe(published.log);

    const purged = good(await client.post(`${build}/purge`, {}));
    expect([purged.json['repo_state'], location(purged)]).toEqual([5, build]);
    expect(good(await client.post(`${build}/purge`, {})).json).toMatchObject({ repo_state: 5, published_state: 2 });
    const list = good(await client.get(`${server.url}/api/v1/build?app-id=org.example.App`)).json;
    expect((list as unknown as { id: number }[]).map((one) => one.id)).not.toContain(id);
  });

  it('need not send again what is published where it sends to', async () => {
    const client = clientOf(testToken);
    const first = await create(client, repo);
    await push(client, first);
    await committed(client, first);
    await follow(client, location(good(await client.post(`${first}/publish`, {}))));
    const second = await create(client, repo);
    expect(good(await client.missing(second, names([...metadata, ...files]))).json).toEqual({ missing: [] });
    // Whoever publishes elsewhere is not told of it.
    const other = await create(client, 'checked');
    expect(good(await client.missing(other, names(files))).json).toEqual({ missing: names(files) });
    good(await client.post(`${second}/build_ref`, { ref, commit, 'build-log-url': null }));
    await committed(client, second);
  });

  it('makes a token that can do no more than fill one build', async () => {
    const client = clientOf(testToken);
    const build = await create(client, repo);
    const sub = new URL(build).pathname.split('/').slice(-2).join('/');
    const asked = { name: 'minimal-upload', sub, scope: ['upload'], duration: 3600 };
    const { token } = good(await client.post(`${server.url}/api/v1/token_subset`, asked)).json;
    const holder = clientOf(String(token));
    await push(holder, build);
    const insufficient = { status: 403, 'error-type': 'token-insufficient' };
    for (const refused of [
      await holder.post(`${build}/commit`, {}),
      await holder.post(`${build}/publish`, {}),
      await holder.post(`${build}/purge`, {}),
      await holder.post(`${server.url}/api/v1/build`, { repo }),
      await holder.upload(await create(client, repo), files),
    ]) {
      expect(refused.json).toMatchObject(insufficient);
      expect(refused.json['message']).toMatch(/^Not enough permissions/);
    }
    await committed(client, build);
  });
});

describe('the bytes that the clients send', () => {
  /** As they were recorded, but for the host, the token and the content. */
  const answerTo = async (head: string, body: readonly Uint8Array[]) => {
    const connection = await rawConnection(Number(new URL(server.url).port));
    connection.socket.setNoDelay(true);
    connection.write(head);
    for (const piece of body) connection.write(piece);
    const text = await connection.until(/\r\n\r\n[^]*[\]}]/);
    connection.socket.destroy();
    return text;
  };
  const tail = 'Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nUser-Agent: Python/3.11 aiohttp/3.8.4\r\n';

  it('are understood where a GET has a packed body', async () => {
    const path = new URL(await create(admin())).pathname;
    // `{"wanted": ["446a….dirmeta"]}` as Python's gzip.compress packs it.
    const packed = Buffer.from(
      'H4sIAAAAAAACAw3BSQqAMAwAwK9IHyDdsuhXxEOSpuBBDyJ4EP+uM0+45bi8hXlYQq0o0XtKSmYJqRfFWBwYjPynSNBFasoN3Kh0zBOza1Q0qMxj287dLwnr+wF9F90KWAAAAA==',
      'base64',
    );
    const text = await answerTo(
      `GET ${path}/missing_objects HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${testToken}\r\n` +
        `Content-Encoding: gzip\r\nContent-Type: application/json\r\n${tail}Content-Length: ${packed.length}\r\n\r\n`,
      [packed],
    );
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text).toContain(`{"missing":["${golden.dirmeta.name}"]}`);
  });

  it('are understood where objects come as multipart/mixed, in many packets', async () => {
    const path = new URL(await create(admin())).pathname;
    const boundary = 'e2ec34fb7ed94dcfab2a86be12e2808b';
    const body = mixed(boundary, [golden.files.owned, golden.files.symlink]);
    const text = await answerTo(
      `POST ${path}/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/mixed; boundary=${boundary}\r\n` +
        `Authorization: Bearer ${testToken}\r\n${tail}Content-Length: ${body.length}\r\n\r\n`,
      [body.subarray(0, 1), body.subarray(1, 40), body.subarray(40, 300), body.subarray(300)],
    );
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text).toMatch(/\[42,41\]/);
  });
});

describe('what goes wrong', () => {
  const problem = ({ status, json }: StockAnswer) => ({
    status,
    said: json['status'],
    type: json['error-type'],
    message: json['message'],
  });

  it('is told in the words that the clients read', async () => {
    const client = admin();
    const build = await create(client);
    expect(problem(await client.get(`${server.url}/api/v1/build/1`))).toMatchObject({
      status: 404,
      said: 404,
      type: 'not-found',
    });
    for (const stranger of ['wrong', '']) {
      const refused = await pythonClient(stranger).get(build);
      expect(problem(refused)).toMatchObject({ status: 401, said: 401, type: 'invalid-token' });
    }
    const early = await client.post(`${build}/publish`, {});
    expect(problem(early)).toMatchObject({ status: 400, said: 400, type: 'wrong-repo-state' });
    expect(early.json).toMatchObject({ 'current-state': 'uploading', 'expected-state': 'ready' });
    const nonsense = await client.post(`${build}/build_ref`, { ref: 'main', commit });
    expect(problem(nonsense)).toMatchObject({ status: 400, type: 'generic-error' });
    expect(problem(await client.get(`${build}/commit`, { 'log-offset': 0 }))).toMatchObject({ status: 404 });
    expect(problem(await client.missing(build, ['../../etc/passwd']))).toMatchObject({ type: 'generic-error' });
  });

  it('is the state of a build that was committed or published before', async () => {
    const client = admin();
    const build = await create(client);
    await push(client, build);
    await committed(client, build);
    const again = await client.post(`${build}/commit`, {});
    expect([again.status, again.json]).toMatchObject([
      400,
      { 'error-type': 'wrong-repo-state', 'current-state': 'ready', 'expected-state': 'uploading' },
    ]);
    expect((await client.upload(build, files)).json).toMatchObject({ 'error-type': 'wrong-repo-state' });
    await follow(client, location(good(await client.post(`${build}/publish`, {}))));
    const asked = { name: 'other', sub: 'build', scope: ['publish'], duration: 60 };
    const { token } = good(await client.post(`${server.url}/api/v1/token_subset`, asked)).json;
    const other = await pythonClient(String(token)).post(`${build}/publish`, {});
    expect([other.status, other.json]).toMatchObject([
      400,
      { 'error-type': 'wrong-published-state', 'current-state': 'published', 'expected-state': 'unpublished' },
    ]);
  });

  it('is a purge of a build that is in use, in the very sentence that the clients take for done', async () => {
    const client = admin();
    const build = await create(client, 'checked');
    await push(client, build);
    await committed(client, build);
    const { build: shown, checks } = good(await client.get(`${build}/extended`)).json;
    expect([shown, checks]).toMatchObject([{ repo_state: 6 }, [{ check_name: 'slow', status: 0 }]]);
    const refused = await client.post(`${build}/purge`, {});
    expect(problem(refused)).toMatchObject({ status: 400, message: "Can't prune build while in use" });
    const early = await client.post(`${build}/publish`, {});
    expect(early.json).toMatchObject({ 'error-type': 'wrong-repo-state', 'current-state': 'validating' });
    const job = good(await client.get(`${build}/check/slow/job`, { 'log-offset': 0 })).json;
    expect(job).toMatchObject({ kind: 4 });
  });

  it('is a commit of what is not all there, which names it and leaves the build open', async () => {
    const client = admin();
    // An environment in which none of it is published.
    const build = await create(client, 'checked');
    good(await client.upload(build, [...files.slice(1), ...metadata.slice(1)]));
    good(await client.post(`${build}/build_ref`, { ref, commit, 'build-log-url': null }));
    const refused = await follow(client, location(good(await client.post(`${build}/commit`, {}))));
    expect(refused.job).toMatchObject({ status: 3 });
    expect(JSON.parse(String(refused.job['results']))).toEqual({ 'error-message': expect.any(String) });
    expect(refused.log).toContain(`${metadata[0]?.name} is missing`);
    expect(good(await client.get(`${build}/extended`)).json).toMatchObject({ build: { repo_state: 0 } });
    good(await client.upload(build, [...files.slice(0, 1), ...metadata.slice(0, 1)]));
    await committed(client, build);
  });

  it('is a build that nothing says what it holds', async () => {
    const client = admin();
    const build = await create(client);
    const refused = await follow(client, location(good(await client.post(`${build}/commit`, {}))));
    expect(refused.job).toMatchObject({ status: 3, kind: 0 });
  });

  it.each<[string, () => StockObject[], RegExp]>([
    ['an object of other bytes', () => [golden.files.plain, { ...golden.files.empty, bytes: golden.files.owned.bytes }], /its bytes are not those that its name says/],
    ['metadata of other bytes', () => [{ ...golden.folders.root, bytes: golden.folders.bin.bytes }], /9bb90327/],
    ['an object that breaks off', () => [{ ...golden.files.owned, bytes: golden.files.owned.bytes.subarray(0, 30) }], /it ends within its header/],
    ['a name that is none', () => [golden.files.plain, { name: 'a.txt', bytes: Buffer.from('x') }], /"a.txt" is no name of an object/],
    ['a part without a name', () => [golden.files.plain, { name: '', bytes: Buffer.from('x') }], /Part 2 of the body has no file name/],
  ])('is %s, and then nothing of the request counts', async (_what, objects, message) => {
    for (const client of [pythonClient(testToken), rustClient(testToken)]) {
      const build = await create(client, 'checked');
      const refused = await client.upload(build, objects());
      expect(problem(refused)).toMatchObject({ status: 400, type: 'generic-error' });
      expect(refused.json['message']).toMatch(message);
      const plain = [golden.files.plain.name];
      expect(good(await client.missing(build, plain)).json).toEqual({ missing: plain });
    }
  }); // prettier-ignore

  it('is a body that its client never finished: nothing of it counts, and the server goes on', async () => {
    const client = admin();
    const build = await create(client, 'checked');
    const body = mixed('b', [golden.files.plain, golden.files.zeros]);
    const connection = await rawConnection(Number(new URL(server.url).port));
    connection.write(
      `POST ${new URL(build).pathname}/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${testToken}\r\n` +
        `Content-Type: multipart/mixed; boundary=b\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    connection.write(body.subarray(0, body.length - 50));
    connection.socket.end();
    await connection.rest();
    const plain = [golden.files.plain.name];
    expect(good(await client.missing(build, plain)).json).toEqual({ missing: plain });
    expect(good(await client.upload(build, [golden.files.plain])).json).toEqual([golden.files.plain.bytes.length]);
  });
});

describe('two who are at one build at once', () => {
  it('may send the same objects: each is one object', async () => {
    const build = await create(admin(), 'checked');
    const sent = [...files, ...metadata];
    const senders = [pythonClient(testToken), rustClient(testToken), pythonClient(testToken)];
    const answers = await Promise.all(senders.map(async (client) => good(await client.upload(build, sent)).json));
    for (const answer of answers) expect(answer).toEqual(sizes(sent));
    good(await admin().post(`${build}/build_ref`, { ref, commit, 'build-log-url': null }));
    const { job } = await follow(admin(), location(good(await admin().post(`${build}/commit`, {}))));
    const bytes = sizes(sent).reduce((sum, size) => sum + size, 0);
    expect(JSON.parse(String(job['results']))).toMatchObject({ objects: sent.length, bytes });
  });

  it('may commit while the other still sends, who is told that it came too late', async () => {
    const build = await create(admin());
    await push(admin(), build);
    const body = mixed('b', [delta]);
    const late = await rawConnection(Number(new URL(server.url).port));
    late.write(
      `POST ${new URL(build).pathname}/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${testToken}\r\n` +
        `Content-Type: multipart/mixed; boundary=b\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    late.write(body.subarray(0, 250));
    await committed(admin(), build);
    late.write(body.subarray(250));
    const text = await late.until(/"expected-state":"[a-z]+"/);
    late.socket.destroy();
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(text).toContain('"error-type":"wrong-repo-state"');
    expect(good(await admin().get(build)).json).toMatchObject({ repo_state: 2 });
    expect(good(await admin().missing(build, [delta.name])).json).toEqual({ missing: [delta.name] });
  });
});

describe('whoever asks too often', () => {
  it('is told to wait by a 503, at which the clients wait and try again', async () => {
    const busy = await startTestServer({ env: { SLUICE_RATE_PER_MINUTE: '3' } });
    try {
      const client = admin();
      const answers: StockAnswer[] = [];
      for (let count = 0; count < 5; count += 1) answers.push(await client.get(`${busy.url}/api/v1/build`));
      const refused = answers.at(-1);
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 503, 503]);
      expect(Number(refused?.headers['retry-after'])).toBeGreaterThan(0);
      expect(refused?.json).toMatchObject({ status: 503, message: expect.any(String) });
    } finally {
      await busy.remove();
    }
  });
});

describe('behind a proxy', () => {
  it('a build is where the client finds it', async () => {
    const url = `${server.url}/api/v1/build`;
    const body = Buffer.from(JSON.stringify({ repo: 'stable', 'app-id': 'org.example.App' }));
    const headers = ['Host', '127.0.0.1', 'Authorization', `Bearer ${testToken}`, 'Content-Type', 'application/json'];
    const forwarded = ['X-Forwarded-Host', 'hub.example', 'X-Forwarded-Proto', 'https', 'X-Forwarded-Prefix', '/repo'];
    const length = ['Content-Length', String(body.length)];
    const answer = await exchange({ method: 'POST', url, headers: [...headers, ...forwarded, ...length], body });
    expect(location(answer)).toBe(`https://hub.example/repo/api/v1/build/${String(answer.json['id'])}`);
  });
});
