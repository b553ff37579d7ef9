import type { IncomingMessage } from 'node:http';
import { auditResultOf, writeEntry } from '../../functions/access/audit.ts';
import type { Principal } from '../../functions/access/principal.ts';
import type { Ports } from '../../functions/ports/ports.ts';
import type { Route } from './route.ts';

export type PushAuditPorts = Pick<Ports, 'records' | 'log' | 'clock' | 'newId'>;

/** A request of Git's: who makes it, and what of which app it is to do. */
export type AuditedRequest = {
  readonly request: IncomingMessage;
  readonly principal: Principal;
  readonly route: Route;
};

/**
 * Writes down that a push was let in, or that a token was not enough. What comes of the push is told by what it deploys:
 * Git answers 200 whatever becomes of each of its refs.
 */
export async function auditRequest(
  { records, log, clock, newId }: PushAuditPorts,
  { request, principal, route }: AuditedRequest,
  status: 200 | 403,
): Promise<void> {
  const id = newId();
  const { app, endpoint } = route;
  await writeEntry(
    { records, log },
    {
      id,
      at: clock(),
      actor: principal.name,
      ...(principal.jti === undefined ? {} : { jti: principal.jti }),
      action: route.service === 'git-receive-pack' ? 'gitPush' : 'gitFetch',
      method: request.method ?? '',
      route: `/git/:app/${endpoint}`,
      app,
      ...(status === 200 ? { path: `/git/${app}.git/${endpoint}` } : {}),
      status,
      result: auditResultOf(status),
      address: request.socket.remoteAddress ?? 'unknown',
      requestId: id,
    },
  );
}
