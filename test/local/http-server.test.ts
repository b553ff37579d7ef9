import { once } from 'node:events';
import { Agent, get, request as httpRequest } from 'node:http';
import { Hono } from 'hono';
import { afterEach, describe, expect, it } from 'vitest';
import { readBody } from '../../functions/api/body.ts';
import { follow, sleep } from '../../functions/api/follow.ts';
import { problemAnswer, problemResponse } from '../../functions/api/problem.ts';
import { silentLog } from '../../functions/runtime/log.ts';
import { remoteAddress, startHttpServer, type HttpServer, type HttpServerOptions } from '../../local/http-server.ts';
import { rawConnection } from '../support/raw-http.ts';

/** A promise that a test settles. */
function gate() {
  return Promise.withResolvers<void>();
}

const servers: HttpServer[] = [];
async function serve(app: Hono, options: Partial<HttpServerOptions> = {}): Promise<HttpServer> {
  app.onError((error) => problemResponse(problemAnswer(error, 'test')));
  const server = await startHttpServer({ host: '127.0.0.1', port: 0, fetch: app.fetch, log: silentLog, ...options });
  servers.push(server);
  return server;
}
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close(0)));
});

const hello = () => new Hono().get('/', (c) => c.text('hello'));
const echo = (maxBytes: number) =>
  new Hono().post('/', async (c) => c.json({ bytes: (await readBody(c, maxBytes)).byteLength }));

describe('the HTTP server', () => {
  it('answers on the port it was given by the system', async () => {
    const server = await serve(hello());
    expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
    expect(await (await fetch(server.url)).text()).toBe('hello');
  });

  it('says so when its port is taken', async () => {
    const { port } = await serve(hello());
    await expect(serve(hello(), { port })).rejects.toThrow(
      `Cannot listen on 127.0.0.1 port ${port}: it is taken already`,
    );
  });

  it('tells where a request comes from', async () => {
    const server = await serve(new Hono().get('/', (c) => c.text(remoteAddress(c.env))));
    expect(await (await fetch(server.url)).text()).toBe('127.0.0.1');
  });

  it('cuts a header that comes in too slowly, with 408', async () => {
    const server = await serve(hello(), { limits: { headersMs: 200 } });
    const slow = await rawConnection(server.port);
    slow.write('GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ');
    const drip = setInterval(() => slow.write('a'), 20);
    const text = await slow.rest();
    clearInterval(drip);
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
    expect(text).toContain('"error-type":"request-timeout"');
  });

  it('cuts a connection that never says anything', async () => {
    const server = await serve(hello(), { limits: { headersMs: 200 } });
    const silent = await rawConnection(server.port);
    await silent.rest();
    expect(silent.socket.closed).toBe(true);
  });

  it('cuts a body that never ends, with 408', async () => {
    const server = await serve(echo(1_000_000), { limits: { bodyMs: 200 } });
    const endless = await rawConnection(server.port);
    endless.write('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    const drip = setInterval(() => endless.write('1\r\na\r\n'), 20);
    const text = await endless.rest();
    clearInterval(drip);
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
    expect(text).toMatch(/x-content-type-options: nosniff/i);
  });

  it('lets a transfer take as long as it goes on, and cuts one that hardly does', async () => {
    const limits = { bodyMs: 200, leastTransferBytes: 50 };
    const server = await serve(echo(1_000_000), { limits, isTransfer: (request) => request.method === 'POST' });
    const begin = async () => {
      const connection = await rawConnection(server.port);
      connection.write('POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n');
      return connection;
    };
    const steady = await begin();
    let sent = 0;
    const drip = setInterval(() => {
      if ((sent += 1) < 40) return steady.write('64\r\n'.concat('a'.repeat(100), '\r\n'));
      steady.write('0\r\n\r\n');
      return clearInterval(drip);
    }, 20);
    const slow = await begin();
    const crawl = setInterval(() => slow.write('1\r\na\r\n'), 50);
    expect(await slow.rest()).toMatch(/^HTTP\/1\.1 408 /);
    clearInterval(crawl);
    expect(await steady.rest()).toContain('{"bytes":3900}');
  });

  it('cuts a transfer that was refused and still goes on', async () => {
    const limits = { bodyMs: 200, leastTransferBytes: 1 };
    const server = await serve(echo(10), { limits, isTransfer: () => true });
    const refused = await rawConnection(server.port);
    refused.write('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    const drip = setInterval(() => refused.write('64\r\n'.concat('a'.repeat(100), '\r\n')), 20);
    expect(await refused.rest()).toMatch(/^HTTP\/1\.1 413 /);
    clearInterval(drip);
  });

  it('does not cut an answer that takes long once the body is there', async () => {
    const server = await serve(
      new Hono().post('/', async (c) => {
        await readBody(c, 100);
        await sleep(400, AbortSignal.timeout(5000));
        return c.text('late but whole');
      }),
      { limits: { bodyMs: 100 } },
    );
    const response = await fetch(server.url, { method: 'POST', body: 'x' });
    expect(await response.text()).toBe('late but whole');
  });

  it('refuses a body that announces too much before it comes in', async () => {
    const server = await serve(echo(1000));
    const large = await rawConnection(server.port);
    large.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n');
    expect(await large.until(/}$/)).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('refuses a body that turns out too large, without reading it to its end', async () => {
    const server = await serve(echo(100_000));
    const large = await rawConnection(server.port);
    large.write('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = `${(10_000).toString(16)}\r\n${'a'.repeat(10_000)}\r\n`;
    const flood = setInterval(() => large.socket.writable && large.write(chunk), 5);
    const text = await large.rest();
    clearInterval(flood);
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('reads a body up to the limit, with and without an announced length', async () => {
    const server = await serve(echo(100_000));
    const whole = await fetch(server.url, { method: 'POST', body: 'a'.repeat(100_000) });
    expect(await whole.json()).toEqual({ bytes: 100_000 });
    const streamed = await fetch(server.url, {
      method: 'POST',
      body: new Blob(['a'.repeat(100_000)]).stream(),
      duplex: 'half',
    });
    expect(await streamed.json()).toEqual({ bytes: 100_000 });
  });

  it('hands a GET with a body on as QUERY, under /api/v1 alone', async () => {
    const app = new Hono().all('*', async (c) => c.text(`${c.req.method} ${await c.req.text()}.`));
    const server = await serve(app);
    const ask = async (path: string, rest: string) => {
      const connection = await rawConnection(server.port);
      connection.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${rest}`);
      return (await connection.rest()).split('\r\n\r\n')[1];
    };
    const length = 'Content-Length: 2\r\n\r\n{}';
    expect(await ask('/api/v1/job/7', length)).toBe('QUERY {}.');
    expect(await ask('/api/v1/job/7', 'Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n')).toBe('QUERY {}.');
    expect(await ask('/api/v1/job/7', 'Content-Length: 0\r\n\r\n')).toBe('GET .');
    expect(await ask('/api/v1/job/7', '\r\n')).toBe('GET .');
    expect(await ask('/health', length)).toBe('GET .');
  });

  it('keeps the connection whole behind a GET with a body, read or not', async () => {
    const app = new Hono().all('*', (c) => c.text(`answer to ${c.req.method}.`));
    const server = await serve(app);
    const connection = await rawConnection(server.port);
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}`;
    connection.write(get('/api/v1/job/7'));
    await connection.until(/answer to QUERY\./);
    connection.write(get('/health'));
    await connection.until(/answer to GET\./);
    connection.write(get('/api/v1/job/8'));
    const text = await connection.until(/QUERY[^]*QUERY\./);
    connection.socket.destroy();
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 200']);
  });

  it('answers pipelined requests in their order', async () => {
    let served = 0;
    const app = new Hono().get('/:n', async (c) => {
      served += 1;
      if (c.req.param('n') === '1') await sleep(50, AbortSignal.timeout(5000));
      return c.text(`answer ${c.req.param('n')}.`);
    });
    const server = await serve(app);
    const piped = await rawConnection(server.port);
    piped.write(
      'GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 HTTP/1.1\r\nHost: x\r\n\r\n',
    );
    const text = await piped.until(/answer 3\./);
    expect(text.match(/answer \d\./g)).toEqual(['answer 1.', 'answer 2.', 'answer 3.']);
    expect(served).toBe(3);
  });

  it.each([
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
    [
      'a length and chunks',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
    ['no host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['a malformed host', 'GET / HTTP/1.1\r\nHost: a/b@c\r\n\r\n', 400],
    ['a header too large', `GET / HTTP/1.1\r\nHost: x\r\nX-Large: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
  ])('refuses %s as a problem with the headers of every answer', async (_, bytes, status) => {
    const server = await serve(hello());
    const broken = await rawConnection(server.port);
    broken.write(bytes);
    const text = await broken.until(/}$/);
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    for (const header of ['content-security-policy: ', 'x-content-type-options: nosniff', 'x-request-id: '])
      expect(text.toLowerCase()).toContain(header);
    expect(text).toContain('application/problem+json');
  });

  it('frees a long poll at once when its client goes away', async () => {
    const started = gate();
    const freed = gate();
    let signal: AbortSignal | undefined;
    const app = new Hono().get('/', async (c) => {
      signal = c.req.raw.signal;
      const page = await follow(
        async () => started.resolve(),
        () => false,
        { clock: () => 0, sleep, waitSeconds: 20, signal },
      );
      freed.resolve(page);
      return c.text('nothing');
    });
    const server = await serve(app);
    const client = await rawConnection(server.port);
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await started.promise;
    client.socket.destroy();
    await freed.promise;
    expect(signal?.aborted).toBe(true);
  });

  it('hands requests to the first taker as Node has them, without a limit on how long their body takes', async () => {
    const server = await serve(hello(), {
      limits: { bodyMs: 100 },
      first: (request, response) => {
        if (!request.url?.startsWith('/git/')) return false;
        let bytes = 0;
        request.on('data', (chunk: Buffer) => (bytes += chunk.length));
        request.on('end', () => response.end(`${bytes} bytes`));
        return true;
      },
    });
    const push = httpRequest(`${server.url}/git/web.git/git-receive-pack`, { method: 'POST' });
    push.write('half');
    await sleep(400, AbortSignal.timeout(5000));
    push.end('half');
    const [response] = await once(push, 'response');
    const [text] = await once(response, 'data');
    expect(String(text)).toBe('8 bytes');
    expect(await (await fetch(server.url)).text()).toBe('hello');
  });

  it('bears no more connections than allowed', async () => {
    const server = await serve(hello(), { limits: { maxConnections: 2 } });
    const held = [await rawConnection(server.port), await rawConnection(server.port)];
    for (const connection of held) {
      connection.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      await connection.until(/hello$/);
    }
    const extra = await rawConnection(server.port);
    await extra.rest();
    expect(extra.socket.closed).toBe(true);
    held[0]?.socket.destroy();
  });
});

describe('a closing HTTP server', () => {
  it('finishes what is in flight, tells the client to come no more, and takes nothing new', async () => {
    const inFlight = gate();
    const goOn = gate();
    const app = new Hono().get('/', async (c) => {
      inFlight.resolve();
      await goOn.promise;
      return c.text('whole');
    });
    const server = await serve(app);
    const agent = new Agent({ keepAlive: true });
    const answered = once(get(server.url, { agent }), 'response');
    await inFlight.promise;
    const closed = server.close(10_000);
    await expect(fetch(server.url)).rejects.toThrow('fetch failed');
    goOn.resolve();
    const [response] = await answered;
    expect(response.headers.connection).toBe('close');
    const [text] = await once(response, 'data');
    expect(String(text)).toBe('whole');
    await closed;
    agent.destroy();
  });

  it('does not wait for connections on which nothing is asked', async () => {
    const server = await serve(hello());
    const silent = await rawConnection(server.port);
    const half = await rawConnection(server.port);
    half.write('GET / HTTP/1.1\r\nHo');
    const kept = await rawConnection(server.port);
    kept.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await kept.until(/hello$/);
    await server.close(60_000);
    await Promise.all([silent.rest(), half.rest(), kept.rest()]);
    expect([silent, half, kept].map(({ socket }) => socket.closed)).toEqual([true, true, true]);
  });

  it('cuts what does not end in time', async () => {
    const started = gate();
    const app = new Hono().get('/', async () => {
      started.resolve();
      return await new Promise<Response>(() => {});
    });
    const server = await serve(app);
    const stuck = await rawConnection(server.port);
    stuck.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await started.promise;
    await Promise.all([server.close(100), server.close(100)]);
    await stuck.rest();
    expect(stuck.socket.closed).toBe(true);
  });
});
