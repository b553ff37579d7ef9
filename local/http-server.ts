import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener, RequestError } from '@hono/node-server';
import { methodWithin } from '../functions/api/query-method.ts';
import { messageOf, Problem } from '../functions/runtime/errors.ts';
import type { Log } from '../functions/runtime/log.ts';
import { connectionsOf, type Connections } from './http-connections.ts';
import { defaultLimits, type HttpLimits } from './http-limits.ts';
import { isWithoutBody, refusal, refuseBroken, refuseLateBody } from './http-refusals.ts';

export type HttpServerOptions = {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Answers a request: `createApi(…).fetch`. */
  readonly fetch: (request: Request, env: object) => Response | Promise<Response>;
  /** Takes what it wants (true) before `fetch` is asked, as Node's own objects: the Git remote. */
  readonly first?: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** Whether a request brings what may take long: its body has no time limit as long as bytes come. */
  readonly isTransfer?: (request: IncomingMessage) => boolean;
  readonly log: Log;
  readonly limits?: Partial<HttpLimits>;
};

export type HttpServer = {
  /** `http://127.0.0.1:4600`, with the port it really has. */
  readonly url: string;
  readonly port: number;
  /** Takes no new request, lets the ones in flight end for at most so long, and then cuts them. Twice is harmless. */
  close(graceMs: number): Promise<void>;
};

/**
 * Listens on one address. What is slow, endless or broken is cut by the limits and answered as a problem where an
 * answer is possible. Throws `Problem('conflict')` when the port is taken.
 */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const limits = { ...defaultLimits, ...options.limits };
  const server = createServer({
    // Node's own requestTimeout knows no exceptions; `refuseLateBody` does its work for all but `first`.
    requestTimeout: 0,
    headersTimeout: limits.headersMs,
    connectionsCheckingInterval: Math.min(1000, limits.headersMs),
    keepAliveTimeout: limits.keepAliveMs,
    maxHeaderSize: limits.maxHeaderBytes,
    // Without a Host it is refused all the same, but with the headers of every answer.
    requireHostHeader: false,
    noDelay: true,
  });
  server.maxHeadersCount = limits.maxHeaders;
  server.maxConnections = limits.maxConnections;
  server.timeout = limits.silenceMs;
  const connections = connectionsOf(server);
  server.on('request', requestListener(options, limits, connections));
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  server.on('clientError', (error, socket) => refuseBroken(error, socket as Socket, connections));
  server.on('drop', () => options.log.warn('a connection was refused: too many are open'));
  await listen(server, options);
  const { port } = server.address() as AddressInfo;
  return { url: urlOf(options.host, port), port, close: (graceMs) => close(server, connections, graceMs) };
}

/** Where the client of a request of this server is. */
export function remoteAddress(env: unknown): string {
  const incoming = (env as { incoming?: IncomingMessage } | undefined)?.incoming;
  return incoming?.socket.remoteAddress ?? 'unknown';
}

function requestListener(
  { fetch, first, isTransfer, log }: HttpServerOptions,
  limits: HttpLimits,
  connections: Connections,
) {
  const toFetch = getRequestListener((request, env) => fetch(request, env), {
    errorHandler: (error) => refused(error, log),
  });
  return (request: IncomingMessage, response: ServerResponse) => {
    if (first?.(request, response)) {
      request.socket.setTimeout(limits.firstSilenceMs);
      return;
    }
    const leastBytes = isTransfer?.(request) ? limits.leastTransferBytes : undefined;
    refuseLateBody({ request, response }, { bodyMs: limits.bodyMs, leastBytes }, connections);
    const { method = 'GET', url: path = '' } = request;
    request.method = methodWithin({ method, path, hasBody: !isWithoutBody(request) });
    void toFetch(request, response);
  };
}

/** For what the API never saw, such as a malformed Host, and for what it failed to answer at all. */
function refused(error: unknown, log: Log): Response {
  const { status, headers, text, requestId } = refusal(error instanceof RequestError ? 400 : 500);
  if (status === 500) log.error('a request was not answered', { requestId, reason: messageOf(error) });
  return new Response(text, { status, headers });
}

async function listen(server: Server, { host, port }: HttpServerOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen(error, { host, port })));
    server.listen({ host, port }, resolve);
  });
}

function cannotListen(cause: NodeJS.ErrnoException, { host, port }: { host: string; port: number }): Problem {
  const why: Record<string, string> = {
    EADDRINUSE: 'it is taken already',
    EACCES: 'the system does not allow it',
    EADDRNOTAVAIL: 'this machine has no such address',
  };
  const reason = why[cause.code ?? ''] ?? cause.code ?? cause.message;
  return new Problem('conflict', `Cannot listen on ${host} port ${port}: ${reason}`, { cause });
}

function urlOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

async function close(server: Server, connections: Connections, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  connections.closeIdle();
  const cut = setTimeout(() => connections.cut(), graceMs);
  await closed;
  clearTimeout(cut);
}
