import type { Context } from 'hono';
import { parameterValue } from './parameters.ts';

/**
 * The absolute URL of a path of ours, as the client reaches it: flat-manager's clients follow `Location` as it stands.
 * Host, protocol and path prefix are what a proxy says of the way it was reached, by `Forwarded` (RFC 7239) or
 * `X-Forwarded-Host`, `-Proto` and `-Prefix`; what is not said there is the request's own.
 *
 * The headers are believed whoever sends them, as no answer is kept for others (`cache-control: no-store`): whoever
 * makes them up sends itself elsewhere, and nobody else. Nothing but URLs in answers may be made of them.
 */
export function externalUrl(c: Context, path: string): string {
  return `${externalBase(c)}${path}`;
}

/** The same for our root, without a slash at its end: `https://sluice.example/prefix`. */
export function externalBase(c: Context): string {
  // Behind API Gateway, the domain name of its event; else the Host header, by the server's own protocol.
  const own = new URL(c.req.url);
  const forwarded = firstForwarded(c.req.header('forwarded'));
  const said = (name: 'host' | 'proto' | 'prefix'): readonly (string | undefined)[] => [
    forwarded.get(name),
    firstOf(c.req.header(`x-forwarded-${name}`)),
  ];
  const protocol = said('proto').find(isProtocol)?.toLowerCase() ?? own.protocol.slice(0, -1);
  const host = said('host').find(isHost) ?? own.host;
  // RFC 7239 has no word for it.
  const prefix = said('prefix').slice(1).find(isPrefix) ?? '';
  return `${protocol}://${host}${prefix.replace(/\/$/, '')}`;
}

/**
 * A URL that this control plane made for itself, such as a signed one of an object (`ownUrl` is where it thinks it is),
 * on the way by which the client came. A URL of another host, such as one of S3, stays as it is.
 */
export function onSameHost(url: string, ownUrl: string, externalBase: string): string {
  const own = new URL(ownUrl).origin;
  return url.startsWith(`${own}/`) ? `${externalBase}${url.slice(own.length)}` : url;
}

function isProtocol(text: string | undefined): text is string {
  return text !== undefined && /^https?$/i.test(text);
}

/** A name or an address, and a port; nothing that could begin a path, a query or a user name. */
function isHost(text: string | undefined): text is string {
  if (text === undefined || text.length > 260) return false;
  return /^(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(text) && URL.canParse(`http://${text}/`);
}

/** Plain segments, none of them `.` or `..`. */
function isPrefix(text: string | undefined): text is string {
  if (text === undefined || text.length > 200 || !/^(?:\/[\w.~-]+)+\/?$/.test(text)) return false;
  return !text.split('/').some((segment) => segment === '.' || segment === '..');
}

/** Each proxy on the way adds a value to the end: the first one is of the proxy that the client spoke to. */
function firstOf(header: string | undefined): string | undefined {
  return header?.split(',', 1)[0]?.trim();
}

function firstForwarded(header: string | undefined): ReadonlyMap<string, string> {
  const first = firstOf(header);
  return (first === undefined ? undefined : parameterValue(`;${first}`).parameters) ?? new Map<string, string>();
}
