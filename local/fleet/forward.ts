import { request, type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Backend } from './backend.ts';
import { answerHeaders, hasBody, requestHeaders, type RawHeaders } from './headers.ts';

export type Attempt = {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly backend: Backend;
  readonly requestId: string;
  /** Fields to add to the answer. */
  readonly extraHeaders: () => RawHeaders;
  /** A connection of its own, not one kept alive. */
  readonly fresh: boolean;
};

/**
 * `answered`: an answer began, or the client left. `refused`: no connection, so nothing was sent.
 * `broken`: the connection ended before an answer began, and the task may have seen the request.
 * `stale`: the same on a kept-alive connection, which the task most likely closed for being idle.
 */
export type AttemptResult = 'answered' | 'refused' | 'broken' | 'stale';

/** Whether a request may be sent twice: a safe method (RFC 9110, 9.2.1) without a body. */
export function isReplayable(req: IncomingMessage): boolean {
  return (req.method === 'GET' || req.method === 'HEAD' || req.method === 'OPTIONS') && !hasBody(req);
}

/**
 * Sends a request to a task and streams the answer back, unbuffered both ways.
 *
 * Only replayable requests go over kept-alive connections: such a connection may be closed by the task in the instant
 * it is used, and what cannot be sent again would be lost. Other requests get a connection of their own, and their
 * body is not touched before it stands; so `refused` can always be tried elsewhere.
 *
 * Written on node:http and not on httpxy, which begins to read the body before it is connected, keeps hop-by-hop
 * fields, and does not tell a refused connection from a broken one.
 */
export function attempt(given: Attempt): Promise<AttemptResult> {
  const { req, res, backend, fresh } = given;
  const replayable = isReplayable(req);
  const headers = requestHeaders(req, given.requestId);
  // Node would frame a body by the method's habit; what the client sent decides.
  if (req.headers['transfer-encoding'] !== undefined) headers.push('Transfer-Encoding', 'chunked');
  else if (!replayable && req.headers['content-length'] === undefined) headers.push('Content-Length', '0');
  const upstream = request({
    host: '127.0.0.1',
    port: backend.port,
    method: req.method,
    path: req.url,
    headers,
    agent: replayable && !fresh ? backend.agent : false,
  });
  return new Promise((resolve) => {
    let answered = false;
    const leave = backend.enter(() => {
      upstream.destroy();
      res.destroy();
    });
    const clientGone = () => {
      if (!res.writableFinished) upstream.destroy();
      resolve('answered');
    };
    const result = sending(upstream, req, replayable);
    upstream.once('response', (answer) => {
      answered = true;
      pass(answer, given);
      resolve('answered');
    });
    upstream.on('error', () => {
      if (answered) res.destroy();
      else resolve(result());
    });
    upstream.once('close', () => {
      leave();
      res.off('close', clientGone);
      resolve(answered ? 'answered' : result());
    });
    res.once('close', clientGone);
  });
}

/** Sends the request's body as soon as the connection stands; the answer tells how far it came. */
function sending(upstream: ClientRequest, req: IncomingMessage, replayable: boolean): () => AttemptResult {
  let connected = false;
  upstream.once('socket', (socket) => {
    const go = () => {
      connected = true;
      if (replayable) return;
      req.pipe(upstream);
      req.once('close', () => {
        if (!req.complete) upstream.destroy();
      });
    };
    if (socket.connecting) socket.once('connect', go);
    else go();
  });
  if (replayable) upstream.end();
  return () => (!connected ? 'refused' : upstream.reusedSocket ? 'stale' : 'broken');
}

function pass(answer: IncomingMessage, { res, extraHeaders }: Attempt): void {
  if (res.destroyed) return void answer.destroy();
  try {
    res.writeHead(answer.statusCode ?? 502, answer.statusMessage ?? '', [...answerHeaders(answer), ...extraHeaders()]);
  } catch {
    answer.destroy(); // A header field Node reads but does not write.
    return void res.destroy();
  }
  let flowing = false;
  answer.once('error', () => res.destroy());
  answer.once('data', () => (flowing = true));
  answer.pipe(res);
  // An event stream may send nothing for long, and its client waits for the header.
  setImmediate(() => {
    if (!flowing && !res.writableEnded && !res.destroyed) res.flushHeaders();
  });
}
