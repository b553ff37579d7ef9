import { once } from 'node:events';
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request that has passed, with the answer it got. */
export type Passed = {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly bytes: number;
};

/**
 * A reverse proxy as people put one in front: everything under a path goes to the server, which is told how it was
 * reached. It knows what has passed, and can hold what comes.
 */
export async function startPrefixProxy(target: string, prefix: string) {
  const passed: Passed[] = [];
  const listeners = new Set<() => void>();
  const unknown = new Set<string>();
  let hold: (request: { method: string; path: string }) => Promise<void> | undefined = () => undefined;
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    if (!path.startsWith(`${prefix}/`)) return void response.writeHead(404).end('not here');
    const method = request.method ?? '';
    if (unknown.has(method)) return void response.writeHead(403).end('{"message":"Forbidden"}');
    void Promise.resolve(hold({ method, path })).then(() => pass(request, response, path.slice(prefix.length)));
  });

  function pass(request: IncomingMessage, response: ServerResponse, path: string): void {
    let bytes = 0;
    request.on('data', (chunk: Buffer) => (bytes += chunk.length));
    const headers = {
      ...request.headers,
      'x-forwarded-host': request.headers.host,
      'x-forwarded-proto': 'http',
      'x-forwarded-prefix': prefix,
    };
    const onwards = forward(`${target}${path}`, { method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      answer.on('end', () => {
        passed.push({ method: request.method ?? '', path, status: answer.statusCode ?? 0, bytes });
        listeners.forEach((check) => check());
      });
    });
    onwards.on('error', () => response.destroy());
    request.on('error', () => onwards.destroy());
    response.on('close', () => onwards.destroy());
    request.pipe(onwards);
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${prefix}`,
    passed: passed as readonly Passed[],
    /** Resolves when what has passed is as it should be. */
    until: async (isSo: (passed: readonly Passed[]) => boolean): Promise<void> => {
      await new Promise<void>((resolve) => {
        const check = () => {
          if (!isSo(passed)) return;
          listeners.delete(check);
          resolve();
        };
        listeners.add(check);
        check();
      });
    },
    /** From now on it does not know that method, as API Gateway knows no QUERY. */
    refuse: (method: string) => void unknown.add(method),
    /** What it answers with is waited for before a request is passed on. */
    holdBack: (wait: typeof hold) => {
      hold = wait;
    },
    close: async (): Promise<void> => {
      server.closeAllConnections();
      await new Promise<unknown>((resolve) => server.close(resolve));
    },
  };
}
