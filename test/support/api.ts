import { randomBytes } from 'node:crypto';
import type { Hono } from 'hono';
import { v7 } from 'uuid';
import { createApi } from '../../functions/api/app.ts';
import type { ApiOptions } from '../../functions/api/options.ts';
import type { ApiEnv } from '../../functions/api/request-context.ts';
import { standing } from '../../functions/deployments/standing.ts';
import type { LogPage } from '../../functions/ports/builder.ts';
import type { Fleet, TargetView } from '../../functions/ports/fleet.ts';
import type { Ports } from '../../functions/ports/ports.ts';
import { defaultLimits, defaultOidc } from '../../functions/ports/limits.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { silentLog } from '../../functions/runtime/log.ts';
import { prometheusMetrics, type PrometheusMetrics } from '../../functions/runtime/metrics.ts';
import { idleJobs } from './idle-jobs.ts';
import { memorySecrets } from './memory-secrets.ts';
import { openTestRecords } from './records.ts';

export const adminToken = 'the-token-of-these-tests';
export const webhookSecret = 'the-secret-of-these-tests';
export const credentials = { adminTokens: [adminToken], webhookSecrets: [webhookSecret] };

/** The API over real records and the smallest stand-ins for what is outside. */
export type TestApi = {
  readonly app: Hono<ApiEnv>;
  readonly ports: Ports;
  readonly metrics: PrometheusMetrics;
  /** A request with the token; a body that is no string is sent as JSON. */
  request(
    method: string,
    path: string,
    options?: { body?: unknown; headers?: Record<string, string> },
  ): Promise<Response>;
  /** The deployments whose workflow was started. */
  readonly started: readonly string[];
  /** How many tasks each target was told to keep. */
  readonly scaled: ReadonlyMap<string, number>;
  /** What a build's log holds; absent: the builder does not know the build. */
  readonly buildLogs: Map<string, LogPage>;
  readonly targetLogs: Map<string, LogPage>;
  /** What a target runs; absent: nothing. */
  readonly views: Map<string, TargetView>;
  close(): Promise<void>;
};

export async function openTestApi(options: Partial<Omit<ApiOptions, 'ports'>> & { ports?: Partial<Ports> } = {}) {
  const stores = await openTestRecords();
  const started: string[] = [];
  const scaled = new Map<string, number>();
  const buildLogs = new Map<string, LogPage>();
  const targetLogs = new Map<string, LogPage>();
  const views = new Map<string, TargetView>();
  const ports: Ports = {
    records: stores.records,
    objects: { ready } as Ports['objects'],
    ...idleJobs,
    secrets: memorySecrets(),
    builder: {
      start: async () => {},
      observe: async () => ({ status: 'unknown' }),
      stop: async () => {},
      logs: async (id, query) => pageAfter(buildLogs.get(id) ?? { lines: [], next: '0', done: true }, query?.after),
      ready,
    },
    fleet: {
      view: async ({ target }) => views.get(target.name) ?? nothingRuns,
      scale: async ({ target }, count) => void scaled.set(target.name, count),
      retire: async ({ target }) => void views.delete(target.name),
      logs: async ({ target }, query) =>
        pageAfter(targetLogs.get(target.name) ?? { lines: [], next: '0', done: false }, query?.after),
      ready,
    } as Fleet,
    workflow: {
      start: async (id) => void started.push(id),
      isRunning: async () => false,
      stop: async () => {},
      resume: async () => false,
      fail: async () => false,
      ready,
    },
    clock: Date.now,
    newId: v7,
    log: silentLog,
    get metrics() {
      return metrics;
    },
    policy: {
      source: { allowFile: true, ownRemote: undefined },
      fetch: { allowPrivateHosts: false, maxBytes: 1_000_000 },
      // Tests ask as fast as they can, some of them by a clock of their own.
      limits: { ...defaultLimits, requestsPerMinute: 1_000_000 },
      oidc: defaultOidc,
    },
    ...options.ports,
  };
  const metrics = prometheusMetrics({ standing: () => standing(ports), log: ports.log });
  const app = createApi({
    credentials: async () => credentials,
    version: '0.0.0',
    metrics,
    scrape: metrics.scrape,
    randomBytes,
    ...options,
    ports,
  });
  const request: TestApi['request'] = async (method, path, { body, headers = {} } = {}) =>
    await app.request(path, {
      method,
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      headers: {
        authorization: `Bearer ${adminToken}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
    });
  const close = async () => await stores.close();
  return { app, ports, metrics, request, started, scaled, buildLogs, targetLogs, views, close } satisfies TestApi;
}

const ready = async () => {};
const nothingRuns: TargetView = {
  revision: undefined,
  desiredCount: 0,
  tasks: [],
  failures: 0,
  lastFailure: undefined,
};

/** Cursors are how many lines were read. */
function pageAfter(page: LogPage, after = '0'): LogPage {
  if (!/^\d+$/.test(after)) throw new Problem('invalid', 'The cursor is none of this log');
  const lines = page.lines.slice(Number(after));
  return { lines, next: String(Number(after) + lines.length), done: page.done };
}
