import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

export type LoadOptions = {
  /** `http://127.0.0.1:9001` */
  readonly url: string;
  /** Quick GETs over kept-alive connections. */
  readonly requestsPerSecond: number;
  /** Kept-alive connections of the quick ones; default 32. */
  readonly connections?: number;
  readonly path?: string;
  /** Each of these is one client that asks again as soon as it was answered; default none. */
  readonly posts?: number;
  readonly slow?: { readonly clients: number; readonly path: string };
  /** A stream must end with an event `end`. */
  readonly streams?: { readonly clients: number; readonly path: string };
  /** Sends so many messages, 100 ms apart, waits for an answer to each, and closes. */
  readonly sockets?: { readonly clients: number; readonly path: string; readonly messages: number };
};

export type LoadCount = { sent: number; ok: number; lost: number };
export type LoadResult = LoadCount & {
  readonly kinds: Readonly<Record<LoadKind, LoadCount>>;
  /** What the first lost ones met. */
  readonly errors: readonly string[];
  readonly seconds: number;
  /** Quick requests: how long an answer took, in milliseconds. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number };
};
export type LoadKind = 'quick' | 'post' | 'slow' | 'stream' | 'socket';

export type Load = {
  /** What was counted so far. */
  now(): LoadResult;
  /** Sends nothing new, waits for what is under way, and counts. */
  stop(): Promise<LoadResult>;
};

/** Puts a target under load until it is stopped. Lost is whatever did not get its whole, right answer. */
export function startLoad(options: LoadOptions): Load {
  const kinds: Record<LoadKind, LoadCount> = {
    quick: none(),
    post: none(),
    slow: none(),
    stream: none(),
    socket: none(),
  };
  const errors: string[] = [];
  const times: number[] = [];
  const began = performance.now();
  let stopped = false;
  const underWay = new Set<Promise<void>>();

  const count = (kind: LoadKind, work: Promise<void>): Promise<void> => {
    kinds[kind].sent++;
    const done = work.then(
      () => void kinds[kind].ok++,
      (error: unknown) => {
        kinds[kind].lost++;
        const at = Math.round(performance.now() - began);
        if (errors.length < 20)
          errors.push(`${kind} at ${at} ms: ${error instanceof Error ? error.message : String(error)}`);
      },
    );
    underWay.add(done);
    void done.finally(() => underWay.delete(done));
    return done;
  };
  const clients = (kind: LoadKind, number: number, work: () => Promise<void>) => {
    for (let client = 0; client < number; client++)
      void repeat(
        () => count(kind, work()),
        () => stopped,
      );
  };

  const agent = new Agent({ keepAlive: true, maxSockets: options.connections ?? 32 });
  const postAgent = new Agent({ keepAlive: true });
  const quick = async () => {
    const from = performance.now();
    await get(options.url + (options.path ?? '/'), { agent });
    times.push(performance.now() - from);
  };
  let due = 0;
  let last = performance.now();
  const ticker = setInterval(() => {
    const now = performance.now();
    due += ((now - last) / 1000) * options.requestsPerSecond;
    last = now;
    // A machine that stood still is not paid back with a flood.
    due = Math.min(due, options.requestsPerSecond);
    for (; due >= 1; due--) void count('quick', quick());
  }, 5);

  const { slow, streams, sockets } = options;
  clients('post', options.posts ?? 0, () => get(`${options.url}/echo`, { agent: postAgent, body: 'x'.repeat(2000) }));
  if (slow) clients('slow', slow.clients, () => get(options.url + slow.path, {}));
  if (streams)
    clients('stream', streams.clients, () => get(options.url + streams.path, { mustEndWith: 'data: end\n\n' }));
  if (sockets) clients('socket', sockets.clients, () => converse(options.url + sockets.path, sockets.messages));

  const now = (): LoadResult => {
    const sorted = times.toSorted((a, b) => a - b);
    const at = (share: number) => Math.round((sorted[Math.floor(sorted.length * share)] ?? 0) * 10) / 10;
    const sum = (of: keyof LoadCount) => Object.values(kinds).reduce((total, kind) => total + kind[of], 0);
    const latency = { p50: at(0.5), p99: at(0.99), max: Math.round(sorted.at(-1) ?? 0) };
    const seconds = (performance.now() - began) / 1000;
    return { sent: sum('sent'), ok: sum('ok'), lost: sum('lost'), kinds, errors, seconds, latency };
  };
  return {
    now,
    stop: async () => {
      stopped = true;
      clearInterval(ticker);
      await Promise.all(underWay);
      agent.destroy();
      postAgent.destroy();
      return now();
    },
  };
}

const none = (): LoadCount => ({ sent: 0, ok: 0, lost: 0 });

async function repeat(work: () => Promise<void>, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    await work();
    await pause(10);
  }
}

type Asking = { readonly agent?: Agent; readonly body?: string; readonly mustEndWith?: string };

function get(url: string, { agent, body, mustEndWith }: Asking): Promise<void> {
  return new Promise((resolve, reject) => {
    const req = request(url, { method: body === undefined ? 'GET' : 'POST', agent: agent ?? false }, (res) => {
      let text = '';
      res.setEncoding('utf8');
      res.on('data', (chunk: string) => (text += chunk));
      res.on('error', reject);
      res.on('end', () => {
        if (res.statusCode !== 200) reject(new Error(`answered ${res.statusCode}: ${text.slice(0, 100)}`));
        else if (body !== undefined && text !== body) reject(new Error('the echo was not what was sent'));
        else if (mustEndWith !== undefined && !text.endsWith(mustEndWith)) reject(new Error('the stream was cut'));
        else resolve();
      });
    });
    req.on('error', reject);
    req.setTimeout(60_000, () => req.destroy(new Error('no answer in 60 s')));
    req.end(body);
  });
}

function converse(url: string, messages: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url.replace('http', 'ws'));
    let answered = 0;
    const say = () => socket.send(`message ${answered}`);
    socket.addEventListener('open', say);
    socket.addEventListener('message', (event) => {
      if (!String(event.data).endsWith(`message ${answered}`)) return reject(new Error('a message was lost'));
      answered++;
      if (answered === messages) socket.close();
      else setTimeout(() => socket.readyState === WebSocket.OPEN && say(), 100);
    });
    socket.addEventListener('error', () => reject(new Error(`the socket failed after ${answered} messages`)));
    socket.addEventListener('close', () =>
      answered === messages ? resolve() : reject(new Error(`the socket was closed after ${answered} messages`)),
    );
  });
}
