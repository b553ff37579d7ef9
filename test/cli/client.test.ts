import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createClient, path, type Client } from '../../cli/client.ts';
import { problem } from './fixtures.ts';
import { ScriptedServer } from './scripted-server.ts';
import { createTestWorld, type TestWorld } from './test-world.ts';

let server: ScriptedServer;
let world: TestWorld;
let client: Client;
beforeEach(async () => {
  server = await new ScriptedServer().start();
  world = createTestWorld();
  client = clientAt(server.url);
});
afterEach(async () => await server.close());

const clientAt = (baseUrl: string) =>
  createClient(world, { baseUrl, token: 'secret-token', origin: { url: 'SLUICE_URL', token: 'SLUICE_TOKEN' } });
const failureOf = async (promise: Promise<unknown>) =>
  await promise.then(
    () => 'no failure',
    (error: unknown) => error,
  );

describe('a request', () => {
  it('carries the token, says who asks, and joins the base path, the names and the query', async () => {
    server.on('GET /some/prefix/api/v1/apps/a%2Fb', { body: { fine: true } });
    const answer = await clientAt(`${server.url}/some/prefix`).get(path`/api/v1/apps/${'a/b'}`, {
      query: { after: 'x y', none: undefined, wait: 20 },
    });
    expect(answer).toEqual({ fine: true });
    expect(server.received[0]?.url).toBe('/some/prefix/api/v1/apps/a%2Fb?after=x+y&wait=20');
    expect(server.received[0]?.headers).toMatchObject({
      authorization: 'Bearer secret-token',
      'user-agent': 'sluice-cli/1.2.3',
    });
  });

  it.each(['', '.', '..'])('never goes to another route by the name "%s"', (name) => {
    expect(() => path`/api/v1/apps/${name}/deploy-key`).toThrow('is no name');
  });

  it('does not follow redirects, which would carry the token elsewhere', async () => {
    server.on('GET /x', { status: 302, headers: { location: 'http://elsewhere.example/' } });
    expect(await failureOf(client.get('/x'))).toMatchObject({
      name: 'NotReachable',
      message: expect.stringContaining('redirects to http://elsewhere.example/'),
    });
  });

  it('takes an answer without a body', async () => {
    server.on('DELETE /x', { status: 204 });
    expect(await client.send('DELETE', '/x')).toBeUndefined();
  });
});

describe('a refusal', () => {
  it.each([400, 401, 403, 404, 409, 413, 422])('of status %i is told once, as the API says it', async (status) => {
    server.on('GET /x', { status, body: problem(status) });
    expect(await failureOf(client.get('/x'))).toMatchObject({ name: 'Refused', message: 'It cannot be done' });
    expect(server.received).toHaveLength(1);
  });

  it('by somebody who is not our API is no refusal', async () => {
    server.on('GET /x', { status: 404, text: '<html>nginx</html>' });
    expect(await failureOf(client.get('/x'))).toMatchObject({
      name: 'NotReachable',
      message: expect.stringContaining("not as Sluice's API"),
    });
    server.on('GET /y', { status: 200, text: '<html>hello</html>' });
    expect(await failureOf(client.get('/y'))).toMatchObject({ name: 'NotReachable' });
  });
});

describe('trying again', () => {
  it.each([500, 502, 503, 504, 429])('a GET is repeated after %i, with growing pauses', async (status) => {
    server.on('GET /x', { status, body: problem(status) }, { status, text: 'gateway' }, { body: { fine: true } });
    expect(await client.get('/x')).toEqual({ fine: true });
    expect(world.pauses).toEqual([200, 400]);
  });

  it('a GET is repeated after a cut connection', async () => {
    server.on('GET /x', { cut: true }, { body: { fine: true } });
    expect(await client.get('/x')).toEqual({ fine: true });
  });

  it('waits as long as the server asks, within reason', async () => {
    const busy = (seconds: string) => ({ status: 503, body: problem(503), headers: { 'retry-after': seconds } });
    server.on('GET /x', busy('1'), busy('3600'), { body: {} });
    await client.get('/x', { patienceSeconds: 60 });
    expect(world.pauses).toEqual([1000, 10_000]);
  });

  it('gives up in the end, and tells of the request', async () => {
    server.on('GET /x', { status: 500, body: problem(500) });
    const failure = await failureOf(client.get('/x'));
    expect(failure).toMatchObject({
      name: 'NotReachable',
      message: expect.stringMatching(/500: It cannot be done.*req-1/),
    });
    expect(server.received.length).toBeGreaterThan(2);
    expect(world.pauses.reduce((sum, each) => sum + each, 0)).toBeLessThan(10_000);
  });

  it('goes on for as long as a patient caller wants', async () => {
    server.on('GET /x', ...Array.from({ length: 12 }, () => ({ cut: true })), { body: { fine: true } });
    let retries = 0;
    expect(await client.get('/x', { patienceSeconds: 120, onRetry: () => retries++ })).toEqual({ fine: true });
    expect(retries).toBe(12);
    expect(Math.max(...world.pauses)).toBe(5000);
  });

  it('a POST is repeated when the server says it is busy: nothing was done', async () => {
    server.on('POST /x', { status: 503, body: problem(503) }, { status: 202, body: { fine: true } });
    expect(await client.send('POST', '/x', { body: { a: 1 } })).toEqual({ fine: true });
    expect(server.received.map(({ body }) => body)).toEqual([{ a: 1 }, { a: 1 }]);
  });

  it.each([
    ['a cut connection', { cut: true }],
    ['an error of the server', { status: 500, body: problem(500) }],
    ["a gateway's 503", { status: 503, text: 'upstream' }],
    ['a time-out of a gateway', { status: 504, text: 'upstream' }],
  ])('a POST is not repeated after %s: it may have been done', async (_what, reply) => {
    server.on('POST /x', reply);
    expect(await failureOf(client.send('POST', '/x'))).toMatchObject({ name: 'NotReachable', mayBeDone: true });
    expect(server.received).toHaveLength(1);
  });

  it('a POST that never left is repeated, and then surely not done', async () => {
    const { url } = server;
    await server.close();
    expect(await failureOf(clientAt(url).send('POST', '/x'))).toMatchObject({
      name: 'NotReachable',
      message: expect.stringContaining('nothing listens there'),
      mayBeDone: false,
    });
    expect(world.pauses.length).toBeGreaterThan(1);
    server = await new ScriptedServer().start();
  });

  it('stops at once when the caller no longer wants it', async () => {
    const stop = new AbortController();
    server.on('GET /x', () => {
      stop.abort();
      return { status: 503, body: problem(503) };
    });
    expect(await failureOf(client.get('/x', { signal: stop.signal }))).toMatchObject({ name: 'AbortError' });
    expect(server.received).toHaveLength(1);
  });
});

describe('a QUERY', () => {
  const ask = async () =>
    (await client.request({ method: 'QUERY', path: '/x', body: { wanted: ['a'] }, gzip: true })).body;

  it('carries its body, packed where that is asked for, and is repeated like a GET', async () => {
    server.on('QUERY /x', { cut: true }, { body: { fine: true } });
    const { body } = await client.request({ method: 'QUERY', path: '/x', body: { wanted: ['a'] } });
    expect(body).toEqual({ fine: true });
    expect(server.received.map(({ body }) => body)).toEqual([{ wanted: ['a'] }, { wanted: ['a'] }]);
  });

  it.each([
    [403, '{"message":"Forbidden"}'],
    [404, '{"message":"Not Found"}'],
    [405, '<html>nginx</html>'],
    [501, ''],
  ])('is a GET with a body where something on the way answers %i to it, and is asked so once', async (status, text) => {
    server.on('QUERY /x', { status, text });
    server.on('GET /x', { body: { fine: true } });
    expect([await ask(), await ask()]).toEqual([{ fine: true }, { fine: true }]);
    expect(server.calls('QUERY /x')).toHaveLength(1);
    for (const { body, headers } of server.calls('GET /x')) {
      expect(body).toEqual({ wanted: ['a'] });
      expect(headers).toMatchObject({ authorization: 'Bearer secret-token', 'content-encoding': 'gzip' });
    }
  });

  it('that the API refuses is refused', async () => {
    server.on('QUERY /x', { status: 404, body: problem(404) });
    expect(await failureOf(ask())).toMatchObject({ name: 'Refused' });
    expect(server.calls('GET /x')).toHaveLength(0);
  });
});
