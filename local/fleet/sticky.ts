import type { IncomingMessage } from 'node:http';
import type { Backend } from './backend.ts';

const cookieName = 'sluice_sticky';

/** The task a client was given before, as its cookie names it. */
export function stickyToken(req: IncomingMessage): string | undefined {
  const cookies = req.headers.cookie;
  if (cookies === undefined || !cookies.includes(cookieName)) return undefined;
  return /(?:^|;\s*)sluice_sticky=([0-9a-f]{32})(?:;|$)/.exec(cookies)?.[1];
}

/**
 * The `Set-Cookie` value that keeps a client with a task; undefined when its cookie says so already. A session whose
 * task drains is moved with its next request: the task takes no new ones, and the client gets a new cookie.
 */
export function stickyCookie(req: IncomingMessage, backend: Backend): string | undefined {
  return stickyToken(req) === backend.token
    ? undefined
    : `${cookieName}=${backend.token}; Path=/; HttpOnly; SameSite=Lax`;
}
