import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Backend } from './backend.ts';
import { attempt, isReplayable, type AttemptResult } from './forward.ts';
import { requestIdOf, type RawHeaders } from './headers.ts';
import type { Pool } from './pool.ts';
import { stickyCookie, stickyToken } from './sticky.ts';
import { attemptUpgrade } from './upgrade.ts';

export type Proxy = {
  request(req: IncomingMessage, res: ServerResponse): void;
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
};
export type ProxyOptions = {
  readonly pool: Pool;
  readonly sticky: () => boolean;
  readonly newId: () => string;
  /** How long a request waits for a task to serve it. */
  readonly waitMs: number;
  readonly maxWaiting: number;
};

/** Passes requests to the serving tasks of a target; see `forward.ts` for what is tried again, and when. */
export function proxy(options: ProxyOptions): Proxy {
  return {
    request: (req, res) => {
      const requestId = requestIdOf(req, options.newId);
      const send = (backend: Backend, fresh: boolean) => {
        const extraHeaders = () => extra(options, { req, backend });
        return attempt({ req, res, backend, requestId, extraHeaders, fresh });
      };
      const refuse = (status: 502 | 503) => {
        if (res.destroyed) return;
        res.writeHead(status, { ...refusal, 'x-request-id': requestId, ...(options.pool.isOpen() ? {} : closing) });
        res.end(refusalText(status));
      };
      void pass({ ...options, req, send, refuse, isGone: () => res.destroyed });
    },
    upgrade: (req, socket, head) => {
      const requestId = requestIdOf(req, options.newId);
      socket.on('error', () => socket.destroy());
      const send = (backend: Backend) =>
        attemptUpgrade({
          req,
          socket,
          head,
          backend,
          requestId,
          extraHeaders: () => cookie(options, { req, backend }),
        });
      const refuse = (status: 502 | 503) => socket.end(refusalMessage(status));
      void pass({ ...options, req, send, refuse, isGone: () => socket.destroyed });
    },
  };
}

type Passing = ProxyOptions & {
  readonly req: IncomingMessage;
  readonly send: (backend: Backend, fresh: boolean) => Promise<AttemptResult>;
  readonly refuse: (status: 502 | 503) => void;
  readonly isGone: () => boolean;
};

/** Tries tasks until one answers: as often as nothing was sent, and once more when a replayable request broke. */
async function pass(passing: Passing): Promise<void> {
  const deadline = performance.now() + passing.waitMs;
  const tried = new Set<string>();
  let fresh = false;
  let broken = 0;
  for (;;) {
    const backend = await next(passing, { tried, deadline });
    if (passing.isGone()) return;
    if (!backend) return passing.refuse(broken > 0 ? 502 : 503);
    const result = await passing.send(backend, fresh);
    if (result === 'answered') return;
    if (passing.isGone()) return;
    fresh = true;
    if (result === 'stale') continue;
    if (result === 'broken' && (!isReplayable(passing.req) || broken++ > 0)) return passing.refuse(502);
    tried.add(backend.id);
  }
}

/** A task not tried yet, or, when all were, any after a moment; undefined when none comes in time. */
async function next(passing: Passing, past: { tried: Set<string>; deadline: number }): Promise<Backend | undefined> {
  const { pool } = passing;
  const sticky = passing.sticky() ? stickyToken(passing.req) : undefined;
  for (;;) {
    const found = pool.pick({ sticky, without: past.tried });
    if (found) return found;
    const leftMs = past.deadline - performance.now();
    if (leftMs <= 0 || !pool.isOpen() || pool.waiting() >= passing.maxWaiting || passing.isGone()) return undefined;
    const retry = past.tried.size > 0 && pool.size() > 0;
    await pool.change(retry ? Math.min(leftMs, 50) : leftMs);
    past.tried.clear();
  }
}

type Choice = { readonly req: IncomingMessage; readonly backend: Backend };

function extra(options: ProxyOptions, choice: Choice): RawHeaders {
  return [...cookie(options, choice), ...(options.pool.isOpen() ? [] : ['Connection', 'close'])];
}

function cookie(options: ProxyOptions, { req, backend }: Choice): RawHeaders {
  const value = options.sticky() ? stickyCookie(req, backend) : undefined;
  return value === undefined ? [] : ['Set-Cookie', value];
}

const refusal = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store', 'retry-after': '1' };
const closing = { connection: 'close' };
const refusalText = (status: 502 | 503) =>
  status === 503 ? 'No task serves this right now.\n' : 'The task that served this ended before it answered.\n';

function refusalMessage(status: 502 | 503): string {
  const text = refusalText(status);
  const fields = { ...refusal, ...closing, 'content-length': String(text.length) };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${status} ${status === 503 ? 'Service Unavailable' : 'Bad Gateway'}`, ...lines, '', text].join(
    '\r\n',
  );
}
