import { randomUUID } from 'node:crypto';
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { answer } from '../functions/api/problem.ts';
import { securityHeaders } from '../functions/api/security-headers.ts';
import type { Connections } from './http-connections.ts';

const details = {
  400: ['invalid-input', 'The request is malformed'],
  408: ['request-timeout', 'The request did not come in time'],
  413: ['too-large', 'The chunk extensions are too large'],
  431: ['too-large', 'The header is too large'],
  500: ['internal-error', 'Something went wrong here'],
} as const;
type RefusedStatus = keyof typeof details;

export type Refusal = {
  readonly status: RefusedStatus;
  readonly requestId: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
};

/** A problem of the transport's own: the API never saw the request, or lost it. It ends the connection. */
export function refusal(status: RefusedStatus): Refusal {
  const [errorType, detail] = details[status];
  const requestId = randomUUID();
  const { headers, body } = answer({ status, errorType, detail, requestId });
  const all = { ...headers, ...securityHeaders({ https: false }), 'x-request-id': requestId, connection: 'close' };
  return { status, requestId, headers: all, text: JSON.stringify(body) };
}

/** Answers what could not be read as HTTP, or whose header did not come in time, and ends the connection. */
export function refuseBroken(error: NodeJS.ErrnoException, socket: Socket, connections: Connections): void {
  // Bytes of an answer may be on their way: more bytes would be taken for a part of it.
  if (!socket.writable || connections.inFlightOn(socket) > 0) socket.destroy();
  else writeRefusal(socket, statusOf(error.code));
}

/**
 * Ends a request whose body is not whole in time, with 408 when nothing was answered on its connection yet. With
 * `leastBytes` it has as much time again whenever so many bytes came, until it is answered.
 */
export function refuseLateBody(
  { request, response }: { request: IncomingMessage; response: ServerResponse },
  limits: { readonly bodyMs: number; readonly leastBytes: number | undefined },
  connections: Connections,
): void {
  if (isWithoutBody(request)) return;
  const { socket } = request;
  let bytesBefore = socket.bytesRead;
  const timer = setInterval(() => {
    const came = socket.bytesRead - bytesBefore;
    bytesBefore = socket.bytesRead;
    if (limits.leastBytes !== undefined && came >= limits.leastBytes && !response.headersSent) return;
    stop();
    if (response.headersSent || connections.inFlightOn(socket) > 1) socket.destroy();
    else writeRefusal(socket, 408);
  }, limits.bodyMs);
  const stop = () => clearInterval(timer);
  request.once('end', stop);
  request.once('close', stop);
}

/** By hand, for whoever was to answer does not know yet that it is over; what it still says goes nowhere. */
function writeRefusal(socket: Socket, status: RefusedStatus): void {
  const { headers, text } = refusal(status);
  const lines = Object.entries({ ...headers, 'content-length': Buffer.byteLength(text) });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head}\r\n${text}`, () => socket.destroy());
}

function statusOf(code: string | undefined): RefusedStatus {
  if (code === 'HPE_HEADER_OVERFLOW') return 431;
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return 413;
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
}

/** Whether a request says that nothing follows its header. */
export function isWithoutBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0';
}
