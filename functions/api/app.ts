import { Hono, type Context } from 'hono';
import type { StatusCode } from 'hono/utils/http-status';
import { authenticator } from '../access/authenticate.ts';
import { oidcVerifier } from '../access/oidc.ts';
import { Problem } from '../runtime/errors.ts';
import { appRoutes } from './apps.ts';
import { auditRoutes } from './audit.ts';
import { audited } from './audited.ts';
import { authenticated } from './authentication.ts';
import { authorized } from './authorization.ts';
import { buildObjectRoutes } from './build-objects.ts';
import { buildWorkRoutes } from './build-work.ts';
import { buildRoutes } from './builds.ts';
import { deploymentRoutes } from './deployments.ts';
import { environmentRoutes } from './environments.ts';
import { exchangeRoutes } from './exchange.ts';
import { sleep } from './follow.ts';
import { jobRoutes } from './jobs.ts';
import { promotionRoutes } from './promotions.ts';
import { routingProblem } from './routing-problem.ts';
import { metricsRoutes, operationRoutes } from './operations.ts';
import type { ApiOptions, RouteDependencies } from './options.ts';
import { isProtocolPath, problemAnswer } from './problem.ts';
import { rated } from './rated.ts';
import type { ApiEnv } from './request-context.ts';
import { repositoryRoutes } from './repository.ts';
import { requestLog } from './request-log.ts';
import { withSecurityHeaders } from './security-headers.ts';
import { tokenRoutes } from './tokens.ts';
import { webhookRoutes } from './webhooks.ts';
import { wrongTokens } from './wrong-tokens.ts';

/**
 * The whole HTTP interface, for any server that speaks in Requests and Responses. All under `/api/v1` and the metrics
 * are behind the token; webhooks prove themselves by their signature.
 */
export function createApi(options: ApiOptions): Hono<ApiEnv> {
  const { ports, metrics } = options;
  const dependencies = routeDependencies(options);
  const app = new Hono<ApiEnv>();
  app.use(requestLog({ ...ports, metrics }), withSecurityHeaders({ https: options.https ?? false }));
  const access = accessTo(options, dependencies);
  app
    .use('/api/*', ...access)
    .use('/repo/*', ...access)
    .use('/metrics', ...access);
  app
    .route('/', appRoutes(dependencies))
    .route('/', deploymentRoutes(dependencies))
    .route('/', environmentRoutes(dependencies))
    .route('/', buildRoutes(dependencies))
    .route('/', buildObjectRoutes(dependencies))
    .route('/', buildWorkRoutes(dependencies))
    .route('/', jobRoutes(dependencies))
    .route('/', promotionRoutes(dependencies))
    .route('/', repositoryRoutes(dependencies))
    .route('/', tokenRoutes(dependencies))
    .route('/', exchangeRoutes(dependencies))
    .route('/', auditRoutes(dependencies))
    .route('/', webhookRoutes(options))
    .route('/', operationRoutes(options, app));
  if (options.scrape) app.route('/', metricsRoutes(options.scrape));
  for (const routes of options.routes ?? []) app.route('/', routes);
  const unroutable = routingProblem(app);
  // Answered and not thrown: what a not-found handler throws is caught outside of the innermost middleware.
  return app.notFound((c) => answerProblem(unroutable(c), c)).onError(answerProblem);
}

/** Who asks, whether they ask too often, what is written down of it, and whether their token is enough: in this order. */
function accessTo(options: ApiOptions, { adminTokens, wrongToken }: RouteDependencies) {
  const { ports, addressOf = anywhere } = options;
  const authenticate = authenticator({ ...ports, adminTokens });
  return [
    authenticated({ authenticate, wrongToken }),
    rated({ ...ports, perMinute: ports.policy.limits.requestsPerMinute }),
    audited({ ...ports, addressOf }),
    authorized(ports),
  ] as const;
}

const anywhere = () => 'unknown';

function answerProblem(error: Error, c: Context<ApiEnv>): Response {
  if (!(error instanceof Problem))
    c.get('log').error('a request failed', { reason: error.message, stack: error.stack });
  const { status, headers, body } = problemAnswer(error, c.get('requestId'), isProtocolPath(c.req.path));
  return c.newResponse(JSON.stringify(body), status as StatusCode, headers);
}

function routeDependencies(options: ApiOptions): RouteDependencies {
  const { ports, randomBytes, closing, followEveryMs, fetchJson, ownUrl, sleep: wait = sleep } = options;
  const { clock } = ports;
  return {
    ports,
    randomBytes,
    ...(ownUrl ? { ownUrl } : {}),
    adminTokens: async () => (await options.credentials()).adminTokens,
    wrongToken: wrongTokens({ clock, addressOf: options.addressOf ?? anywhere }),
    ...(fetchJson ? { verifyJob: oidcVerifier({ ...ports.policy.oidc, fetchJson, clock }) } : {}),
    waiting: (c, waitSeconds = 0) => {
      const { signal } = c.req.raw;
      return {
        clock,
        sleep: wait,
        waitSeconds,
        everyMs: followEveryMs,
        signal: closing ? AbortSignal.any([signal, closing]) : signal,
      };
    },
  };
}
