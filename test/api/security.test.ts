import { Hono } from 'hono';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { problemShape } from '../../functions/api/shapes.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { silentLog, type Log, type LogFields } from '../../functions/runtime/log.ts';
import { adminToken, openTestApi } from '../support/api.ts';

type Line = readonly [message: string, fields: LogFields];
/** A log that keeps its lines. */
function keptLog(lines: Line[], more: LogFields = {}): Log {
  const keep = (message: string, fields: LogFields = {}) => void lines.push([message, { ...more, ...fields }]);
  return {
    ...silentLog,
    info: keep,
    warn: keep,
    error: keep,
    with: (fields) => keptLog(lines, { ...more, ...fields }),
  };
}

let api: Awaited<ReturnType<typeof openTestApi>>;
let lines: Line[];
beforeEach(async () => {
  lines = [];
  const routes = new Hono()
    .get('/broken', () => {
      throw new Error('the password is hunter2');
    })
    .get('/page', (c) => c.html('<p>hi</p>', 200, { 'content-security-policy': "default-src 'self'" }));
  api = await openTestApi({
    ports: { log: keptLog(lines) },
    routes: [routes],
    addressOf: (c) => c.req.header('x-test-address') ?? 'here',
  });
});
afterEach(async () => {
  await api.close();
});

const protectedRoutes = () =>
  api.app.routes
    .filter(({ method, path }) => method !== 'ALL' && path.startsWith('/api/') && path !== '/api/v1/token/exchange')
    .map(({ method, path }) => [method, path.replaceAll(/:\w+/g, 'x')] as const);

describe('every answer', () => {
  it.each([
    ['GET', '/health', 200],
    ['GET', '/api/v1/apps', 200],
    ['GET', '/api/v1/apps/nope', 404],
    ['GET', '/nowhere', 404],
    ['DELETE', '/health', 405],
    ['PUT', '/api/v1/apps/web', 415],
    ['GET', '/broken', 500],
  ])('of %s %s has the security headers and a request id', async (method, path, status) => {
    const response = await api.request(method, path);
    expect(response.status).toBe(status);
    const headers = Object.fromEntries(response.headers);
    expect(headers).toMatchObject({
      'content-security-policy': expect.stringContaining("frame-ancestors 'none'"),
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': 'no-store',
    });
    expect(headers['content-security-policy']).not.toContain('unsafe');
    expect(headers['x-request-id']).toMatch(/^[\w.:+/=@-]{1,128}$/);
    expect(headers).not.toHaveProperty('strict-transport-security');
  });

  it('demands https for good only where the configuration says that there is https', async () => {
    const secure = await openTestApi({ https: true });
    const response = await secure.request('GET', '/health');
    expect(response.headers.get('strict-transport-security')).toMatch(/^max-age=\d+/);
    await secure.close();
  });

  it('keeps a policy that its route has set', async () => {
    expect((await api.request('GET', '/page')).headers.get('content-security-policy')).toBe("default-src 'self'");
  });

  it('repeats a harmless request id and replaces another', async () => {
    const idFor = async (id: string) =>
      (await api.request('GET', '/health', { headers: { 'x-request-id': id } })).headers.get('x-request-id');
    expect(await idFor('Root=1-67891233-abcdef')).toBe('Root=1-67891233-abcdef');
    for (const id of ['', 'a'.repeat(129), '<script>', 'a b', '"']) expect(await idFor(id)).not.toBe(id);
  });
});

describe('an error of ours', () => {
  it('shows a request id and nothing else; the log has the rest under that id', async () => {
    const response = await api.request('GET', '/broken');
    const text = await response.text();
    expect(text).not.toContain('hunter2');
    const { requestId, ...problem } = v.parse(problemShape, JSON.parse(text));
    expect([response.status, problem['error-type'], problem.message]).toEqual([500, 'internal-error', problem.detail]);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    const line = lines.find(([message]) => message === 'a request failed');
    expect(line?.[1]).toMatchObject({ requestId, stack: expect.stringContaining('security.test.ts') });
  });
});

describe('the access log', () => {
  it('tells of each request by its pattern, without queries, paths and tokens', async () => {
    await api.request('GET', '/api/v1/apps/hidden-name?force=hidden-value', { headers: { 'x-request-id': 'r1' } });
    const [, fields] = lines.find(([message]) => message === 'request') ?? [];
    expect(fields).toEqual({
      requestId: 'r1',
      method: 'GET',
      route: '/api/v1/apps/:app',
      status: 400,
      ms: expect.any(Number),
      principal: 'admin',
    });
    expect(JSON.stringify(lines)).not.toMatch(new RegExp(`hidden|${adminToken}`));
  });

  it('gives what no route takes no name of its own', async () => {
    await api.request('GET', '/a/path/of/the/callers');
    await api.request('FROBNICATE', '/health');
    const told = lines.map(([, fields]) => [fields['method'], fields['route'], fields['principal']]);
    expect(told).toEqual([
      ['GET', 'none', null],
      ['other', 'none', null],
    ]);
  });
});

describe('the token', () => {
  it('is needed by every route of the API, and for the metrics', async () => {
    const routes = [...protectedRoutes(), ['GET', '/metrics'] as const, ['GET', '/api/v1/nowhere'] as const];
    expect(routes.length).toBeGreaterThan(15);
    for (const [method, path] of routes) {
      for (const headers of [
        {},
        { authorization: 'Bearer wrong' },
        { authorization: `Basic ${btoa(`x:${adminToken}`)}` },
      ]) {
        const address = `${method} ${path}`;
        const response = await api.app.request(path, { method, headers: { ...headers, 'x-test-address': address } });
        expect([method, path, response.status]).toEqual([method, path, 401]);
        expect(response.headers.get('www-authenticate')).toContain('Bearer');
      }
    }
  });

  it.each(['/health', '/ready', '/openapi.json'])('is not needed by %s', async (path) => {
    expect((await api.app.request(path)).status).toBe(200);
  });

  it('that is wrong again and again is answered 429, for that address and a minute, and a right one still 200', async () => {
    let now = 1_000_000;
    const patient = await openTestApi({
      ports: { clock: () => now },
      addressOf: (c) => c.req.header('x-test-address') ?? 'here',
    });
    const attempt = async (token: string, address: string) =>
      (
        await patient.app.request('/api/v1/apps', {
          headers: { authorization: `Bearer ${token}`, 'x-test-address': address },
        })
      ).status;
    for (let count = 0; count < 60; count += 1) expect(await attempt('wrong', 'a')).toBe(401);
    expect(await attempt('wrong', 'a')).toBe(429);
    expect(await attempt(adminToken, 'a')).toBe(200);
    expect(await attempt('wrong', 'b')).toBe(401);
    now += 60_000;
    expect(await attempt('wrong', 'a')).toBe(401);
    await patient.close();
  });
});

describe('a body', () => {
  const put = (body: string | Uint8Array<ArrayBuffer> | ReadableStream, headers: Record<string, string> = {}) =>
    api.app.request('/api/v1/apps/web', {
      method: 'PUT',
      body,
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json', ...headers },
      duplex: 'half',
    });
  const mebibyte = 1024 * 1024;

  it('of another content type is refused', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      expect((await put('{}', { 'content-type': type })).status).toBe(415);
    }
    expect((await put('{}', { 'content-type': 'application/json; charset=utf-8' })).status).toBe(400);
  });

  it.each(['', '{', '{"a":hunter2}', 'null', '[]', '"text"', '\ufffe'])(
    'that is %j is refused as it is',
    async (body) => {
      const response = await put(body);
      expect(response.status).toBe(400);
      expect(await response.text()).not.toContain('hunter2');
    },
  );

  it('that is not UTF-8 is refused', async () => {
    const response = await put(Buffer.from('{"environments":"\xff"}', 'latin1'));
    expect(v.parse(problemShape, await response.json()).detail).toBe('The body is not JSON in UTF-8');
  });

  it('over 1 MiB is refused, whether it says so or not', async () => {
    const large = `"${'a'.repeat(mebibyte)}"`;
    expect((await put(large, { 'content-length': String(large.length) })).status).toBe(413);
    expect((await put(large, { 'content-length': '10' })).status).toBe(413);
    let produced = 0;
    const endless = new ReadableStream({
      pull: (controller) => {
        produced += 65_536;
        controller.enqueue(new Uint8Array(65_536));
        // Endless enough, and no danger to the machine when nobody stops it.
        if (produced > 8 * mebibyte) controller.close();
      },
    });
    expect((await put(endless)).status).toBe(413);
    expect(produced).toBeLessThan(2 * mebibyte);
  });

  it('that breaks off is refused', async () => {
    const broken = new ReadableStream({ pull: (controller) => controller.error(new Error('gone')) });
    expect((await put(broken)).status).toBe(400);
  });
});

describe('a path', () => {
  it('that takes other methods is answered 405 with those', async () => {
    const response = await api.request('PATCH', '/api/v1/apps/web');
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'DELETE, GET, HEAD, PUT']);
    expect(v.parse(problemShape, await response.json()).detail).toBe('This path takes DELETE, GET, HEAD, PUT');
  });

  it('answers HEAD like GET, without a body', async () => {
    const response = await api.request('HEAD', '/health');
    expect([response.status, await response.text()]).toEqual([200, '']);
  });

  it('with a name that cannot be one is refused in words', async () => {
    const response = await api.request('GET', '/api/v1/apps/..%2f..%2fetc');
    expect([response.status, v.parse(problemShape, await response.json()).issues?.[0]?.field]).toEqual([400, 'app']);
  });
});

describe('a problem', () => {
  it('has one status a kind, whichever route throws it', async () => {
    const thrown = new Hono().get('/busy', () => {
      throw new Problem('busy', 'Try again');
    });
    const busy = await openTestApi({ routes: [thrown] });
    const response = await busy.request('GET', '/busy');
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
    expect(v.parse(problemShape, await response.json())).toMatchObject({
      type: 'urn:sluice:problem:busy',
      status: 503,
      detail: 'Try again',
      message: 'Try again',
      'error-type': 'busy',
    });
    await busy.close();
  });
});
