import { request, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Backend } from './backend.ts';
import type { AttemptResult } from './forward.ts';
import { answerHeaders, requestHeaders, type RawHeaders } from './headers.ts';

export type UpgradeAttempt = {
  readonly req: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly backend: Backend;
  readonly requestId: string;
  readonly extraHeaders: () => RawHeaders;
};

/** Whether a request asks for a WebSocket; other upgrades (h2c) are passed as the ordinary requests they also are. */
export function isWebSocket(req: IncomingMessage): boolean {
  return req.method === 'GET' && req.headers.upgrade?.toLowerCase() === 'websocket';
}

/** Passes an upgrade to a task and joins both connections; the task counts it as in flight until they are closed. */
export function attemptUpgrade(given: UpgradeAttempt): Promise<AttemptResult> {
  const { req, socket, backend } = given;
  const headers = requestHeaders(req, given.requestId);
  headers.push('Connection', 'Upgrade', 'Upgrade', 'websocket');
  const upstream = request({ host: '127.0.0.1', port: backend.port, path: req.url, headers, agent: false });
  return new Promise((resolve) => {
    let connected = false;
    let joined = false;
    const leave = backend.enter(() => {
      upstream.destroy();
      socket.destroy();
    });
    const gone = () => upstream.destroy();
    socket.once('close', gone);
    upstream.once('socket', (connection) => connection.once('connect', () => (connected = true)));
    upstream.once('upgrade', (answer, connection, first) => {
      joined = true;
      socket.off('close', gone);
      void join({ ...given, answer, connection, first }).then(leave);
      resolve('answered');
    });
    upstream.once('response', (answer) => {
      joined = true;
      refuse(answer, given);
      answer.once('close', leave);
      resolve('answered');
    });
    upstream.on('error', () => {});
    upstream.once('close', () => {
      if (joined) return;
      leave();
      socket.off('close', gone);
      resolve(connected ? 'broken' : 'refused');
    });
    upstream.end();
  });
}

type Joining = UpgradeAttempt & { answer: IncomingMessage; connection: Socket; first: Buffer };

/** Resolves when both ends are closed. */
function join({ socket, head, connection, first, answer, extraHeaders }: Joining): Promise<unknown> {
  const headers = [...answerHeaders(answer), 'Connection', 'Upgrade', 'Upgrade', 'websocket', ...extraHeaders()];
  socket.write(statusLine(answer) + fields(headers));
  if (first.length > 0) socket.write(first);
  if (head.length > 0) connection.write(head);
  const ends = [socket, connection].map((end) => new Promise((resolve) => end.once('close', resolve)));
  // A WebSocket cannot be half open: one side gone, the other ends when it has got what was on its way.
  socket.once('close', () => connection.destroySoon());
  connection.once('close', () => endSoon(socket));
  for (const end of [socket, connection]) end.on('error', () => end.destroy());
  if (socket.destroyed) connection.destroy();
  connection.pipe(socket);
  socket.pipe(connection);
  return Promise.all(ends);
}

function endSoon(socket: Duplex): void {
  socket.end(() => socket.destroy());
}

/** The task answered with an ordinary response: passed on, and the connection closed after it. */
function refuse(answer: IncomingMessage, { socket, extraHeaders }: UpgradeAttempt): void {
  socket.on('error', () => answer.destroy()).once('close', () => answer.destroy());
  socket.write(statusLine(answer) + fields([...answerHeaders(answer), ...extraHeaders(), 'Connection', 'close']));
  answer.on('error', () => socket.destroy());
  answer.pipe(socket);
}

function statusLine(answer: IncomingMessage): string {
  return `HTTP/1.1 ${answer.statusCode ?? 502} ${answer.statusMessage ?? ''}\r\n`;
}

function fields(headers: RawHeaders): string {
  let text = '';
  for (let index = 0; index < headers.length; index += 2) text += `${headers[index]}: ${headers[index + 1]}\r\n`;
  return `${text}\r\n`;
}
