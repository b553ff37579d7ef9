import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, createServer, request, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { backend, type Backend } from '../../../local/fleet/backend.ts';
import { ingress } from '../../../local/fleet/ingress.ts';
import { listen, type Listener } from '../../../local/fleet/listener.ts';
import { pool, type Pool } from '../../../local/fleet/pool.ts';
import { proxy } from '../../../local/fleet/proxy.ts';
import { until } from '../../support/fleet.ts';

type Answer = { status: number; headers: IncomingMessage['headers']; raw: string[]; body: string };

describe('proxy', () => {
  let tasks: Pool;
  let door: Listener;
  let sticky = false;
  const servers: Server[] = [];
  beforeEach(async () => {
    sticky = false;
    tasks = pool();
    door = await listen(
      { port: 0, host: '127.0.0.1' },
      proxy({ pool: tasks, sticky: () => sticky, newId: randomUUID, waitMs: 1000, maxWaiting: 10 }),
    );
  });
  afterEach(async () => {
    const closed = door.close();
    door.cut();
    await closed;
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  const serve = async (listener: RequestListener): Promise<Backend & { server: Server }> => {
    const server = createServer(listener).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    const made = Object.assign(backend(randomUUID(), (server.address() as AddressInfo).port), { server });
    tasks.add(made);
    return made;
  };
  const deadBackend = async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    const dead = backend(randomUUID(), port);
    tasks.add(dead);
    return dead;
  };
  type Asked = { path?: string; method?: string; headers?: Record<string, string>; body?: string; agent?: Agent };
  const ask = ({ path = '/', body, agent, ...more }: Asked = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const req = request({ host: '127.0.0.1', port: door.port, path, agent: agent ?? false, ...more }, (res) => {
        let text = '';
        res.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        res.on('error', reject);
        const { statusCode = 0, headers, rawHeaders } = res;
        res.on('end', () => resolve({ status: statusCode, headers, raw: rawHeaders, body: text }));
      });
      req.on('error', reject).end(body);
    });

  it('passes method, path, header fields, body and answer', async () => {
    await serve((req, res) => {
      res.writeHead(207, 'Fine', ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'X-Seen', `${req.method} ${req.url}`]);
      req.pipe(res);
    });
    const answer = await ask({ method: 'PUT', path: '/a%20b?c=d', body: 'hello', headers: { 'content-length': '5' } });
    expect(answer).toMatchObject({ status: 207, body: 'hello' });
    expect(answer.headers['x-seen']).toBe('PUT /a%20b?c=d');
    expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
  });

  it('tells the task who asked, and keeps what concerns one connection only', async () => {
    const seen: IncomingMessage['headers'][] = [];
    await serve((req, res) => {
      seen.push(req.headers);
      res.writeHead(200, { 'keep-alive': 'timeout=1', 'proxy-authenticate': 'Basic' }).end();
    });
    const headers = { host: 'web.example.com', connection: 'close, x-hop', 'x-hop': '1', te: 'trailers' };
    const answer = await ask({ headers });
    expect(seen[0]).toMatchObject({
      host: 'web.example.com',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'web.example.com',
      via: '1.1 sluice',
      'x-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(seen[0]).not.toHaveProperty('x-hop');
    expect(seen[0]).not.toHaveProperty('te');
    expect(answer.headers).not.toHaveProperty('proxy-authenticate');
    await ask({ headers: { 'x-forwarded-for': '9.9.9.9', 'x-forwarded-proto': 'https', 'x-request-id': 'mine' } });
    expect(seen[1]).toMatchObject({ 'x-forwarded-for': '9.9.9.9, 127.0.0.1', 'x-forwarded-proto': 'https' });
    expect(seen[1]).toMatchObject({ 'x-request-id': 'mine' });
    await ask({ headers: { 'x-request-id': 'not {plain}' } });
    expect(seen[2]?.['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('passes a DELETE with a chunked body, and a POST without one', async () => {
    const seen: string[] = [];
    await serve((req, res) => {
      let text = '';
      req
        .on('data', (chunk) => (text += String(chunk)))
        .on('end', () => {
          seen.push(`${req.method} ${text} ${req.headers['content-length'] ?? req.headers['transfer-encoding']}`);
          res.end();
        });
    });
    await ask({ method: 'DELETE', headers: { 'transfer-encoding': 'chunked' }, body: 'gone' });
    await ask({ method: 'POST', headers: { 'content-length': '0' } });
    expect(seen).toEqual(['DELETE gone chunked', 'POST  0']);
  });

  it('spreads requests evenly, and prefers the task with the least in flight', async () => {
    const counts = [0, 0];
    for (const index of [0, 1]) {
      await serve((req, res) => {
        counts[index] = (counts[index] ?? 0) + 1;
        if (req.url === '/') res.end();
      });
    }
    for (let index = 0; index < 10; index++) await ask();
    expect(counts).toEqual([5, 5]);
    const hanging = [1, 2, 3, 4].map(() => ask({ path: '/hang' }).catch(() => {}));
    await until(
      () => counts,
      (now) => now.every((count) => count === 7),
    );
    door.cut();
    await Promise.all(hanging);
  });

  it('gives a request whose task refuses the connection to another, body and all', async () => {
    await deadBackend();
    await serve((req, res) => void req.pipe(res));
    const bodies = await Promise.all(
      Array.from({ length: 6 }, () => ask({ method: 'POST', body: 'x'.repeat(100_000) })),
    );
    expect(bodies.map(({ status, body }) => [status, body.length])).toEqual(
      Array.from({ length: 6 }, () => [200, 100_000]),
    );
  });

  it('tries a GET whose connection broke once on another task, and a POST not again', async () => {
    let broke = 0;
    await serve((req) => {
      broke++;
      req.socket.destroy();
    });
    await serve((_req, res) => void res.end('well'));
    const gets = await Promise.all(Array.from({ length: 6 }, () => ask()));
    expect(gets.map(({ body }) => body)).toEqual(Array.from({ length: 6 }, () => 'well'));
    expect(broke).toBeGreaterThan(0);
    const posts = await Promise.all(Array.from({ length: 6 }, () => ask({ method: 'POST', body: 'x' })));
    expect(posts.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 200, 200, 502, 502, 502]);
  });

  it('gives up a GET that breaks everywhere', async () => {
    let broke = 0;
    for (let index = 0; index < 3; index++) {
      await serve((req) => {
        broke++;
        req.socket.destroy();
      });
    }
    expect((await ask()).status).toBe(502);
    expect(broke).toBe(2);
  });

  it('loses nothing when tasks close idle connections while they are used', async () => {
    const { server } = await serve((_req, res) => void res.end('well'));
    server.on('connection', (socket) => socket.setTimeout(5, () => socket.destroy()));
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    for (let round = 0; round < 60; round++) {
      const answers = await Promise.all(Array.from({ length: 8 }, () => ask({ agent })));
      expect(answers.every(({ body }) => body === 'well')).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    agent.destroy();
  });

  it('lets a request wait for a task, and answers 503 with Retry-After when none comes', async () => {
    const waiting = ask();
    await serve((_req, res) => void res.end('late'));
    expect((await waiting).body).toBe('late');
  });

  it('answers 503 with Retry-After when no task comes in time, and at once when none is meant to', async () => {
    const answer = await ask();
    expect(answer.status).toBe(503);
    expect(answer.headers['retry-after']).toBe('1');
    tasks.setOpen(false);
    const from = performance.now();
    expect(await ask()).toMatchObject({ status: 503, headers: { connection: 'close' } });
    expect(performance.now() - from).toBeLessThan(900);
  });

  it('lets only so many requests wait', async () => {
    let refused = 0;
    const answers = Array.from({ length: 20 }, async () => {
      const answer = await ask();
      if (answer.status === 503) refused++;
      return answer;
    });
    await until(
      () => refused,
      (count) => count === 10,
    );
    await serve((_req, res) => void res.end());
    expect((await Promise.all(answers)).filter(({ status }) => status === 200)).toHaveLength(10);
  });

  it('streams events as they come, and shows the header before the first', async () => {
    let write = (_text: string) => {};
    await serve((_req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.flushHeaders();
      write = (text) => res.write(text);
    });
    const req = request({ host: '127.0.0.1', port: door.port, agent: false }).end();
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    for (const text of ['data: 1\n\n', 'data: 2\n\n']) {
      write(text);
      const [chunk] = (await once(res, 'data')) as [Buffer];
      expect(chunk.toString()).toBe(text);
    }
    res.destroy();
  });

  it('lets the task know when the client leaves, and counts what is in flight exactly', async () => {
    let came = 0;
    let gone = 0;
    const task = await serve((req, res) => {
      came++;
      res.once('close', () => gone++);
      if (req.url === '/stream') res.write('x');
    });
    for (const path of ['/silent', '/stream']) {
      const req = request({ host: '127.0.0.1', port: door.port, path, agent: false }).end();
      const answered = path === '/stream' ? once(req, 'response') : undefined;
      req.on('error', () => {});
      await until(
        () => came - gone,
        (count) => count === 1,
      );
      expect(task.inFlight()).toBe(1);
      await answered;
      req.destroy();
      await until(task.inFlight, (count) => count === 0);
    }
    await until(
      () => gone,
      (count) => count === 2,
    );
  });

  it('breaks the answer off for the client when the task breaks it off', async () => {
    await serve((req, res) => {
      res.writeHead(200, { 'content-length': '100' });
      res.write('half');
      setTimeout(() => req.socket.destroy(), 20);
    });
    await expect(ask()).rejects.toThrow(/aborted|hang up/);
  });

  it('slows a task whose client reads slowly', async () => {
    let written = 0;
    await serve((_req, res) => {
      const chunk = Buffer.alloc(256 * 1024);
      const more = () => {
        while (written < 400 * chunk.length) {
          written += chunk.length;
          if (!res.write(chunk)) return void res.once('drain', more);
        }
        res.end();
      };
      more();
    });
    const req = request({ host: '127.0.0.1', port: door.port, agent: false }).end();
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(written).toBeLessThan(40 * 1024 * 1024);
    res.destroy();
  });

  it('refuses a header that is too large, and one that is no HTTP', async () => {
    await serve((_req, res) => void res.end());
    expect((await ask({ headers: { big: 'x'.repeat(40_000) } })).status).toBe(431);
    const socket = connect(door.port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 400/);
    socket.destroy();
  });

  it('joins a WebSocket with its task, and counts it until it is closed', async () => {
    const task = await serve((_req, res) => void res.end('plain'));
    const sockets = new WebSocketServer({ server: task.server });
    sockets.on('connection', (socket) =>
      socket.on('message', (data: Buffer) => socket.send(`echo ${data.toString()}`)),
    );
    const client = new WebSocket(`ws://127.0.0.1:${door.port}/chat`);
    await once(client, 'open');
    client.send('hello');
    const [message] = (await once(client, 'message')) as [Buffer];
    expect(message.toString()).toBe('echo hello');
    expect(task.inFlight()).toBe(1);
    client.close(4001, 'done');
    const [code] = (await once(client, 'close')) as [number];
    expect(code).toBe(4001);
    await until(task.inFlight, (count) => count === 0);
  });

  it('passes on what a task answers that does not want a WebSocket, and treats other upgrades as requests', async () => {
    const task = await serve((req, res) => void res.writeHead(403).end(`no ${req.headers.upgrade ?? 'upgrade'}`));
    const client = new WebSocket(`ws://127.0.0.1:${door.port}/`);
    const [error] = (await once(client, 'error')) as [Error];
    expect(error.message).toMatch(/403/);
    const h2c = await ask({
      headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'x' },
    });
    expect(h2c).toMatchObject({ status: 403, body: 'no upgrade' });
    await until(task.inFlight, (count) => count === 0);
  });

  it('cuts what is in flight when it is told to', async () => {
    const task = await serve((req) => void req.resume());
    const sockets = new WebSocketServer({ server: task.server });
    const client = new WebSocket(`ws://127.0.0.1:${door.port}/`);
    await once(client, 'open');
    const hanging = ask({ path: '/hang' }).catch((error: Error) => error.message);
    await until(task.inFlight, (count) => count === 2);
    tasks.remove(task);
    const idle = task.idle();
    const closed = once(client, 'close');
    task.cut();
    await idle;
    expect(await hanging).toMatch(/hang up|aborted/);
    await closed;
    sockets.close();
  });

  it('keeps a client with its task while that serves, and moves it with a new cookie when it does not', async () => {
    sticky = true;
    const named = async (name: string) => serve((_req, res) => void res.end(name));
    const all = new Map([
      ['a', await named('a')],
      ['b', await named('b')],
    ]);
    const first = await ask();
    const cookie = first.headers['set-cookie']?.[0] ?? '';
    expect(cookie).toMatch(/^sluice_sticky=[0-9a-f]{32}; Path=\/; HttpOnly; SameSite=Lax$/);
    const headers = { cookie: `other=1; ${cookie.split(';')[0]}` };
    for (let index = 0; index < 5; index++) {
      const again = await ask({ headers });
      expect(again.body).toBe(first.body);
      expect(again.headers['set-cookie']).toBeUndefined();
    }
    const drained = all.get(first.body);
    if (drained) tasks.remove(drained);
    const moved = await ask({ headers });
    expect(moved.body).not.toBe(first.body);
    expect(moved.headers['set-cookie']?.[0]).toMatch(/^sluice_sticky=/);
    expect(moved.headers['set-cookie']?.[0]).not.toBe(cookie);
  });

  it('ends connections after their answer once it is closed', async () => {
    let answer = () => {};
    await serve((_req, res) => void (answer = () => res.end('done')));
    const agent = new Agent({ keepAlive: true });
    const asked = ask({ agent });
    await until(
      () => answer.toString(),
      (text) => text.includes('res.end'),
    );
    const closed = door.close();
    answer();
    expect((await asked).body).toBe('done');
    await closed;
    agent.destroy();
  });

  it('leads from one port to targets by their domains', async () => {
    await serve((_req, res) => void res.end('web'));
    const web = proxy({ pool: tasks, sticky: () => false, newId: randomUUID, waitMs: 100, maxWaiting: 10 });
    const shared = await listen(
      { port: 0, host: '127.0.0.1' },
      ingress((domain) => (domain === 'web.example.com' ? web : undefined)),
    );
    const statusOf = async (host: string) => {
      const req = request({ host: '127.0.0.1', port: shared.port, headers: { host }, agent: false }).end();
      const [res] = (await once(req, 'response')) as [IncomingMessage];
      res.resume();
      return res.statusCode;
    };
    expect(await statusOf('Web.Example.COM:8080')).toBe(200);
    expect(await statusOf('example.com')).toBe(421);
    expect(await statusOf('a.web.example.com')).toBe(421);
    const client = new WebSocket(`ws://127.0.0.1:${shared.port}/`);
    const [error] = (await once(client, 'error')) as [Error];
    expect(error.message).toMatch(/421/);
    await shared.close();
  });
});
