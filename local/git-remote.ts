import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { tokenOf, userNameOf } from '../functions/access/admin.ts';
import type { Authenticate } from '../functions/access/authenticate.ts';
import { isRoot, type Principal } from '../functions/access/principal.ts';
import { pushRefusal } from '../functions/access/push-rights.ts';
import { securityHeaders } from '../functions/api/security-headers.ts';
import { findApp } from '../functions/apps/registry.ts';
import type { Records } from '../functions/ports/records.ts';
import { messageOf } from '../functions/runtime/errors.ts';
import type { Log } from '../functions/runtime/log.ts';
import { codeOf } from './durable.ts';
import { auditRequest, type PushAuditPorts } from './git-remote/audit.ts';
import { serveCgi } from './git-remote/cgi.ts';
import { gitEnvironment, serviceEnvironment } from './git-remote/environment.ts';
import { retellPushes } from './git-remote/recover.ts';
import { openRepository, removeDrafts, writeHooks } from './git-remote/repository.ts';
import { routeOf, type Refusal, type Route } from './git-remote/route.ts';

export type GitRemoteOptions = {
  /** The data folder: the repositories are `git/<app>.git` in it. */
  readonly data: string;
  /** Who a token belongs to. */
  readonly authenticate: Authenticate;
  readonly webhookSecret: string;
  readonly records: Records;
  readonly log: Log;
  /** For the audit log. */
  readonly clock: PushAuditPorts['clock'];
  readonly newId: PushAuditPorts['newId'];
  /** Where this server is reached, `http://127.0.0.1:4600`; asked when it is needed, as the port comes late. */
  readonly url: () => string;
  /** The environment of this process, for Git: PATH and TMPDIR. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The largest push (default 2 GiB), and how long nothing may move (default 10 minutes). */
  readonly limits?: { readonly maxBytes?: number; readonly idleMs?: number };
};

export type GitRemote = {
  /** Answers a request to `/git/…`; never throws. Resolves when nothing of it runs any more. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /**
   * Tells the control plane of every push that it was not told of, for this server was killed or could not answer just
   * then. Call it once the server answers; harmless at any time.
   */
  recover(): Promise<void>;
};

const defaultLimits = { maxBytes: 2 * 1024 ** 3, idleMs: 600_000 };

/**
 * The Git remote that this control plane serves itself: `git push http://127.0.0.1:4600/git/web.git main`, any user
 * name, the token as password: the admin token, or one with the scope `deploy`. Smart HTTP by `git http-backend`, one bare repository an app, made with its first
 * use. A push goes the very way of a webhook: a hook signs a payload as GitHub's and posts it to `/webhooks/github`.
 */
export function gitRemote(options: GitRemoteOptions): GitRemote {
  const { data, log } = options;
  const folder = join(data, 'git');
  const limits = { ...defaultLimits, ...options.limits };
  const git = gitEnvironment(options.environment);

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const route = routeOf(request);
    const token = tokenOf(request.headers.authorization);
    const principal = token === undefined ? undefined : await options.authenticate(token);
    if (!principal) return refuse(response, withoutToken);
    if ('status' in route) return refuse(response, route);
    const refusal = await refusalFor(principal, route);
    const isPush = request.method === 'POST' && route.service === 'git-receive-pack';
    if (refusal?.status === 403) await auditRequest(options, { request, principal, route }, 403);
    else if (isPush && !refusal) await auditRequest(options, { request, principal, route }, 200);
    if (refusal) return refuse(response, refusal);
    const pusher = isRoot(principal) ? (userNameOf(request.headers.authorization) ?? 'git') : principal.name;
    await serve({ ...route, pusher }, request, response);
  }

  async function refusalFor(principal: Principal, { app: id }: Route): Promise<Refusal | undefined> {
    const app = await findApp(options.records, id);
    const refusal = pushRefusal(principal, app ?? { id });
    if (refusal !== undefined) return { status: 403, text: `Not enough permissions: ${refusal}` };
    return app ? undefined : unknownApp(id);
  }

  async function serve(
    route: Route & { readonly pusher: string },
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { app, service, pusher } = route;
    if (Number(request.headers['content-length'] ?? 0) > limits.maxBytes) return refuse(response, tooLarge);
    const hooks = await writeHooks(folder);
    const repository = await openRepository({ folder, app, git });
    const hook = { url: options.url(), secret: options.webhookSecret, app, pusher };
    const settings = { git, folder, repository, hooks, hook, maxBytes: limits.maxBytes };
    if (request.headers.expect) response.writeContinue();
    await serveCgi({
      command: ['git', 'http-backend'],
      env: serviceEnvironment(route, request, settings),
      // A push that came whole is carried through, whether or not its pusher is still there to hear of it.
      finishes: service === 'git-receive-pack',
      request,
      response,
      // Git's own limit comes first and says why; what lies above it is the list of refs.
      limits: { ...limits, maxBytes: limits.maxBytes + 16 * 1024 ** 2 },
      log: log.with({ app, service }),
      refuse: (refusal) => refuse(response, refusal),
    });
  }

  return {
    async handle(request, response) {
      try {
        await handle(request, response);
      } catch (error) {
        log.error('git request failed', { error: messageOf(error) });
        refuse(response, isWithoutGit(error) ? withoutGit : failure);
      }
    },
    async recover() {
      await removeDrafts(folder);
      await retellPushes({
        folder,
        git,
        url: options.url(),
        secret: options.webhookSecret,
        records: options.records,
        log,
      });
    },
  };
}

/** Makes Git ask for it. */
const withoutToken: Refusal = {
  status: 401,
  text: 'Give any user name, and the token of Sluice as the password.',
  headers: { 'www-authenticate': 'Basic realm="sluice", charset="UTF-8"' },
};

function unknownApp(app: string): Refusal {
  return { status: 404, text: `There is no app ${app}. Register it first: sluice apps apply -f app.json` };
}

/** No program `git` was found to be started. */
function isWithoutGit(error: unknown): boolean {
  return codeOf(error) === 'ENOENT' && (error as NodeJS.ErrnoException).syscall === 'spawn git';
}

const withoutGit: Refusal = { status: 503, text: 'Git is not installed where Sluice runs.' };
const failure: Refusal = { status: 500, text: 'Something went wrong here; the log of the server says what.' };
const tooLarge: Refusal = { status: 413, text: 'The push is too large.' };

/** Git shows plain text to its user. The connection ends with it: what is left of the body is of no use. */
function refuse(response: ServerResponse, { status, text, headers }: Refusal): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const all = { ...securityHeaders({ https: false }), 'content-type': 'text/plain; charset=utf-8', ...headers };
  response.writeHead(status, { ...all, connection: 'close' }).end(`${text}\n`);
}
