import { Hono, type Context } from 'hono';
import type { StatusCode } from 'hono/utils/http-status';
import { principalOf } from '../access/admin.ts';
import { Problem } from '../runtime/errors.ts';
import { appRoutes } from './apps.ts';
import { authenticated } from './authentication.ts';
import { buildRoutes } from './builds.ts';
import { deploymentRoutes } from './deployments.ts';
import { environmentRoutes } from './environments.ts';
import { sleep } from './follow.ts';
import { routingProblem } from './routing-problem.ts';
import { metricsRoutes, operationRoutes } from './operations.ts';
import type { ApiOptions, RouteDependencies } from './options.ts';
import { problemAnswer } from './problem.ts';
import type { ApiEnv } from './request-context.ts';
import { requestLog } from './request-log.ts';
import { withSecurityHeaders } from './security-headers.ts';
import { webhookRoutes } from './webhooks.ts';

/**
 * The whole HTTP interface, for any server that speaks in Requests and Responses. All under `/api/v1` and the metrics
 * are behind the token; webhooks prove themselves by their signature.
 */
export function createApi(options: ApiOptions): Hono<ApiEnv> {
  const { ports, metrics } = options;
  const dependencies = routeDependencies(options);
  const app = new Hono<ApiEnv>();
  app.use(requestLog({ ...ports, metrics }), withSecurityHeaders({ https: options.https ?? false }));
  const authentication = authenticated({
    principalOf: async (token) => principalOf(token, (await options.credentials()).adminTokens),
    clock: ports.clock,
    addressOf: options.addressOf ?? (() => 'unknown'),
  });
  app.use('/api/*', authentication).use('/metrics', authentication);
  app
    .route('/', appRoutes(dependencies))
    .route('/', deploymentRoutes(dependencies))
    .route('/', environmentRoutes(dependencies))
    .route('/', buildRoutes(dependencies))
    .route('/', webhookRoutes(options))
    .route('/', operationRoutes(options, app));
  if (options.scrape) app.route('/', metricsRoutes(options.scrape));
  for (const routes of options.routes ?? []) app.route('/', routes);
  const unroutable = routingProblem(app);
  // Answered and not thrown: what a not-found handler throws is caught outside of the innermost middleware.
  return app.notFound((c) => answerProblem(unroutable(c), c)).onError(answerProblem);
}

function answerProblem(error: Error, c: Context<ApiEnv>): Response {
  if (!(error instanceof Problem))
    c.get('log').error('a request failed', { reason: error.message, stack: error.stack });
  const { status, headers, body } = problemAnswer(error, c.get('requestId'));
  return c.newResponse(JSON.stringify(body), status as StatusCode, headers);
}

function routeDependencies({
  ports,
  randomBytes,
  closing,
  followEveryMs,
  sleep: wait = sleep,
}: ApiOptions): RouteDependencies {
  return {
    ports,
    randomBytes,
    waiting: (c, waitSeconds = 0) => {
      const { signal } = c.req.raw;
      return {
        clock: ports.clock,
        sleep: wait,
        waitSeconds,
        everyMs: followEveryMs,
        signal: closing ? AbortSignal.any([signal, closing]) : signal,
      };
    },
  };
}
