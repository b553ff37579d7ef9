import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

export type Received = {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
};
export type Reply = {
  readonly status?: number;
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Cuts the connection instead of answering. */
  readonly cut?: boolean;
};
type Handler = (request: Received) => Reply | Promise<Reply>;

/** A server whose answers a test writes down: one per route, or a list of them, of which the last one stays. */
export class ScriptedServer {
  readonly received: Received[] = [];
  readonly #routes = new Map<string, (Reply | Handler)[]>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  /** `GET /api/v1/apps`; the query is no part of it. */
  on(route: string, ...replies: (Reply | Handler)[]): this {
    this.#routes.set(route, replies);
    return this;
  }

  /** What came in on a route. */
  calls(route: string): readonly Received[] {
    return this.received.filter(({ method, url }) => `${method} ${url.split('?')[0]}` === route);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<unknown>((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const received = await read(request);
    this.received.push(received);
    const replies = this.#routes.get(`${received.method} ${received.url.split('?')[0]}`) ?? [notFound];
    const next = replies.length > 1 ? replies.shift() : replies[0];
    const reply = typeof next === 'function' ? await next(received) : (next ?? notFound);
    if (reply.cut) return void request.socket.destroy();
    const text = reply.text ?? (reply.body === undefined ? '' : JSON.stringify(reply.body));
    response.writeHead(reply.status ?? 200, { 'content-type': 'application/json', ...reply.headers }).end(text);
  }
}

const notFound: Reply = {
  status: 404,
  body: {
    type: 'urn:sluice:problem:not-found',
    title: 'Not found',
    status: 404,
    detail: 'There is no such route in this script',
    'error-type': 'not-found',
    message: 'There is no such route in this script',
    requestId: 'r-0',
  },
};

async function read(request: IncomingMessage): Promise<Received> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk as Uint8Array));
  const { method = '', url = '', headers } = request;
  const bytes = Buffer.concat(chunks);
  const text = (headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString('utf8');
  return { method, url, headers, body: text === '' ? undefined : JSON.parse(text) };
}
