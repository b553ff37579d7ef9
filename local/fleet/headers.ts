import type { IncomingMessage } from 'node:http';

/** Header fields as Node takes and gives them raw: name, value, name, value. */
export type RawHeaders = string[];

/** Fields that concern one connection only (RFC 9110, 7.6.1), and those we write ourselves. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
const rewritten = new Set([
  'expect',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-request-id',
  'via',
]);

/**
 * A request's header fields for the task. The forwarding fields of a client are believed only when it is on this
 * machine (a TLS terminator in front of us); from elsewhere they would be forgeries.
 */
export function requestHeaders(req: IncomingMessage, requestId: string): RawHeaders {
  const headers = endToEnd(req, rewritten);
  const peer = plainAddress(req.socket.remoteAddress);
  const trusted = peer === '::1' || peer.startsWith('127.');
  const given = (name: string) => (trusted ? joined(req.headers[name]) : undefined);
  const chain = given('x-forwarded-for');
  headers.push('X-Forwarded-For', chain ? `${chain}, ${peer}` : peer);
  headers.push('X-Forwarded-Proto', given('x-forwarded-proto') ?? 'http');
  const host = given('x-forwarded-host') ?? req.headers.host;
  if (host !== undefined) headers.push('X-Forwarded-Host', host);
  const via = joined(req.headers['via']);
  headers.push('Via', via ? `${via}, ${req.httpVersion} sluice` : `${req.httpVersion} sluice`);
  headers.push('X-Request-Id', requestId);
  return headers;
}

/** A task's answer without what concerned its connection alone. */
export function answerHeaders(answer: IncomingMessage): RawHeaders {
  return endToEnd(answer, none);
}

/** The client's own request id where it is a plain one, else a new one. */
export function requestIdOf(req: IncomingMessage, newId: () => string): string {
  const given = req.headers['x-request-id'];
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : newId();
}

/** Whether a request carries a body, however long it is. */
export function hasBody(req: IncomingMessage): boolean {
  const length = req.headers['content-length'];
  return req.headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) > 0);
}

const none: ReadonlySet<string> = new Set();

function endToEnd(message: IncomingMessage, dropped: ReadonlySet<string>): RawHeaders {
  const named = new Set((message.headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase()));
  const headers: RawHeaders = [];
  const raw = message.rawHeaders;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? '';
    const key = name.toLowerCase();
    if (!hopByHop.has(key) && !dropped.has(key) && !named.has(key)) headers.push(name, raw[index + 1] ?? '');
  }
  return headers;
}

function joined(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}

function plainAddress(address = ''): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
