import { gzipSync } from 'node:zlib';
import type { ProblemView } from '../functions/api/shapes.ts';
import type { Connection } from './connection.ts';
import { NotReachable, Refused, WrongUse } from './failures.ts';
import { networkFailure } from './network.ts';
import { querySender } from './query.ts';
import { printable } from './terminal-text.ts';
import type { World } from './world.ts';

export type Query = Readonly<Record<string, string | number | undefined>>;
export type RawBody = { readonly contentType: string; readonly bytes: Buffer<ArrayBuffer> };
/** `QUERY` is a GET with a body (https://datatracker.ietf.org/doc/draft-ietf-httpbis-safe-method-w-body/). */
export type Method = 'GET' | 'QUERY' | 'POST' | 'PUT' | 'DELETE';
export type Request = {
  readonly method: Method;
  /** Made by `path`. */
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  /** Sent as it is, instead of a body of JSON. */
  readonly raw?: RawBody;
  /** Sends the JSON compressed. */
  readonly gzip?: boolean;
  /** Whether asking twice is as good as asking once: then it is repeated like a GET. */
  readonly idempotent?: boolean;
  /** How long one try may take; default 35 seconds. */
  readonly timeoutSeconds?: number;
  readonly signal?: AbortSignal;
  /** For how long it is tried again when there is no answer; default about two seconds. */
  readonly patienceSeconds?: number;
  /** Called before each wait for another try. */
  readonly onRetry?: () => void;
  /** Statuses whose bodies are answers although they are no successes. */
  readonly accept?: readonly number[];
};
export type Answer<T> = { readonly status: number; readonly body: T; readonly headers: Headers };

export type Client = {
  readonly connection: Connection;
  /** Throws `Refused` for what the API declines, `NotReachable` when there is no usable answer after retries. */
  readonly request: <T>(request: Request) => Promise<Answer<T>>;
  readonly get: <T>(path: string, options?: Omit<Request, 'method' | 'path' | 'body'>) => Promise<T>;
  readonly send: <T>(
    method: 'POST' | 'PUT' | 'DELETE',
    path: string,
    options?: { body?: unknown; query?: Query },
  ) => Promise<T>;
};

/** A path below the base URL; what is put in is encoded, so that no name can lead to another route. */
export function path(parts: TemplateStringsArray, ...names: readonly string[]): string {
  return parts.reduce(
    (text, part, index) => text + (index === 0 ? '' : encodeSegment(names[index - 1] ?? '')) + part,
    '',
  );
}

/**
 * Speaks to the API at a connection. What changes nothing by being asked twice is repeated with backoff; anything else
 * only where it was surely not taken.
 */
export function createClient(world: World, connection: Connection): Client {
  const query = querySender(world.fetch);
  const request = <T>(request: Request) => tryUntilAnswered<T>({ world, connection, request, query });
  return {
    connection,
    request,
    get: async (path, options = {}) => (await request<never>({ method: 'GET', path, ...options })).body,
    send: async (method, path, options = {}) => (await request<never>({ method, path, ...options })).body,
  };
}

/** The long poll's longest wait, in seconds; requests may take so much longer than this before they count as lost. */
export const longestWaitSeconds = 20;
const defaultTimeoutSeconds = longestWaitSeconds + 15;
const defaultPatienceSeconds = 2;

type Call = {
  readonly world: World;
  readonly connection: Connection;
  readonly request: Request;
  readonly query: ReturnType<typeof querySender>;
};
type Attempt<T> = { answer: Answer<T> } | { failure: Error; again: boolean; afterMs?: number };

async function tryUntilAnswered<T>(call: Call): Promise<Answer<T>> {
  const { world, request } = call;
  let waitMs = 200;
  let waitedMs = 0;
  const patienceMs = (request.patienceSeconds ?? defaultPatienceSeconds) * 1000;
  for (;;) {
    const attempt = await tryOnce<T>(call);
    if ('answer' in attempt) return attempt.answer;
    const pauseMs = attempt.afterMs ?? waitMs;
    if (!attempt.again || waitedMs + pauseMs > patienceMs) throw attempt.failure;
    request.onRetry?.();
    await world.pause(pauseMs, request.signal);
    waitedMs += pauseMs;
    waitMs = Math.min(waitMs * 2, 5000);
  }
}

async function tryOnce<T>(call: Call): Promise<Attempt<T>> {
  const { request, connection } = call;
  const timeout = AbortSignal.timeout((request.timeoutSeconds ?? defaultTimeoutSeconds) * 1000);
  const signal = request.signal ? AbortSignal.any([timeout, request.signal]) : timeout;
  try {
    return await judged<T>(call, await send(call, signal));
  } catch (error) {
    request.signal?.throwIfAborted();
    const { neverSent, failure } = networkFailure(error, connection.baseUrl, connection.origin.url);
    return { failure, again: isRepeatable(request) || neverSent };
  }
}

function urlOf({ connection, request }: Call): string {
  const url = new URL(connection.baseUrl + request.path);
  for (const [name, value] of Object.entries(request.query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url.href;
}

async function send(call: Call, signal: AbortSignal): Promise<Response> {
  const { world, request } = call;
  const url = urlOf(call);
  const { contentHeaders, body } = contentOf(request);
  const headers = { ...headersOf(call), ...contentHeaders };
  if (request.method === 'QUERY') return await call.query({ url, headers, body: body ?? '', signal });
  // A redirect would carry the request, maybe with its token, to another place than the one that was named.
  const init = { method: request.method, headers, redirect: 'manual', signal } as const;
  return await world.fetch(url, body === undefined ? init : { ...init, body });
}

function headersOf({ world, connection: { token } }: Call): Record<string, string> {
  return {
    accept: 'application/json, application/problem+json',
    'user-agent': `sluice-cli/${world.version}`,
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
}

type Content = { readonly contentHeaders: Record<string, string>; readonly body?: string | Buffer<ArrayBuffer> };

function contentOf({ body, raw, gzip = false }: Request): Content {
  if (raw) return { contentHeaders: { 'content-type': raw.contentType }, body: raw.bytes };
  if (body === undefined) return { contentHeaders: {} };
  const text = JSON.stringify(body);
  // API Gateway takes what says that it is JSON for text, however it is packed, and damages it.
  return gzip
    ? { contentHeaders: { 'content-encoding': 'gzip' }, body: gzipSync(text) }
    : { contentHeaders: { 'content-type': 'application/json' }, body: text };
}

function isRepeatable({ method, idempotent = false }: Request): boolean {
  return method === 'GET' || method === 'QUERY' || idempotent;
}

async function judged<T>(call: Call, response: Response): Promise<Attempt<T>> {
  const { request, connection } = call;
  const text = await response.text();
  const body = parsed(text);
  if (response.ok || request.accept?.includes(response.status)) {
    if (text !== '' && body === undefined) return { failure: notOurs(connection, response), again: false };
    return { answer: { status: response.status, body: body as T, headers: response.headers } };
  }
  if (response.status >= 500 || response.status === 429) return unable(call, response, body);
  if (response.status < 400 || !isProblem(body)) return { failure: notOurs(connection, response), again: false };
  return { failure: new Refused(body, hintFor(response.status, connection)), again: false };
}

/** The server's own "busy" says that nothing was done; any other 5xx may come after the work. */
function unable({ request, connection }: Call, response: Response, body: unknown): Attempt<never> {
  const problem = isProblem(body) ? body : undefined;
  const id = problem?.requestId ? ` (request ${printable(problem.requestId)})` : '';
  const said = problem ? `: ${printable(problem.message)}` : '.';
  const notTaken = problem !== undefined && (response.status === 503 || response.status === 429);
  const sentence = `${connection.baseUrl} answered ${response.status}${said}${id}`;
  const failure = new NotReachable(sentence, { mayBeDone: !notTaken });
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  const afterMs = seconds > 0 ? { afterMs: Math.min(seconds, 10) * 1000 } : {};
  return { failure, again: isRepeatable(request) || notTaken, ...afterMs };
}

function notOurs(connection: Connection, response: Response): NotReachable {
  const to = response.status < 400 ? response.headers.get('location') : null;
  if (to !== null) {
    return new NotReachable(`${connection.baseUrl} redirects to ${printable(to)}.`, {
      hint: 'Set SLUICE_URL to where the API is.',
    });
  }
  return new NotReachable(`${connection.baseUrl} answered ${response.status}, but not as Sluice's API does.`, {
    hint: `Check ${connection.origin.url}: is a path missing, or is something else listening there?`,
  });
}

function hintFor(status: number, connection: Connection): string | undefined {
  if (status !== 401) return undefined;
  if (connection.token === undefined) return 'No token was sent: set SLUICE_TOKEN.';
  return `The token came from ${connection.origin.token}.`;
}

function isProblem(body: unknown): body is ProblemView {
  return typeof body === 'object' && body !== null && 'message' in body && typeof body.message === 'string';
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function encodeSegment(name: string): string {
  // They survive encoding, and a URL resolves them: `apps/..` would be another route.
  if (name === '' || name === '.' || name === '..') throw new WrongUse(`"${name}" is no name.`);
  return encodeURIComponent(name);
}
