import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { messageOf } from './errors.ts';
import type { Log } from './log.ts';
import { withinTime } from './time-limit.ts';

/**
 * What is counted and timed, in our words; each cloud has its own way to tell it.
 * Labels come from sets that do not grow with the traffic: route patterns and never paths, names of registered things.
 */
export interface Metrics {
  httpRequest(request: HttpRequestMeasure): void;
  /** One webhook delivery, by what became of it: `accepted`, `ignored`, `repeated`, `refused`, `failed`. */
  webhookDelivery(outcome: string): void;
  deploymentEnded(ended: DeploymentEnded): void;
  buildEnded(ended: BuildEnded): void;
}

export type HttpRequestMeasure = {
  readonly method: string;
  /** The pattern: `/api/v1/apps/:app`; `none` where no route fits. */
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
};

export type DeploymentEnded = {
  /** `succeeded`, `rolled_back`, `failed`, `cancelled`, `superseded`. */
  readonly status: string;
  /** What began it: `push`, `api`, `rollback`. */
  readonly trigger: string;
  /** From its creation to its end. */
  readonly seconds: number;
  /** How long it was in each of its states. */
  readonly phases: readonly { readonly name: string; readonly seconds: number }[];
  /** How the rollout on each target ended. */
  readonly rollouts: readonly string[];
};

export type BuildEnded = { readonly kind: string; readonly status: string; readonly seconds: number };

/** What stands right now, asked at the moment of a scrape. */
export type Standing = {
  /** How many deployments that have not ended are in each state. */
  readonly deployments: readonly { readonly status: string; readonly count: number }[];
  readonly tasks: readonly TaskCount[];
};
export type TaskCount = {
  readonly app: string;
  readonly environment: string;
  readonly target: string;
  readonly state: string;
  readonly count: number;
};

/** The text of a scrape, and its content type. When what stands cannot be told, the rest is told all the same. */
export type Scrape = () => Promise<{ readonly contentType: string; readonly text: string }>;

export type PrometheusMetrics = Metrics & { readonly scrape: Scrape };

/** Every series begins with it. */
const prefix = 'sluice_';
const requestBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25];
/** A scrape must end before its scraper gives up (10 s by default). */
const standingTimeoutMs = 5000;
const workBuckets = [0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 3600];

/** Metrics in memory, told in Prometheus' text format. */
export function prometheusMetrics(options: { standing: () => Promise<Standing>; log: Log }): PrometheusMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix });
  const series = seriesIn(registry);
  return {
    httpRequest: ({ method, route, status, seconds }) =>
      series.requests.observe({ method, route, status: String(status) }, seconds),
    webhookDelivery: (outcome) => series.deliveries.inc({ outcome }),
    buildEnded: ({ kind, status, seconds }) => series.builds.observe({ kind, status }, seconds),
    deploymentEnded: (ended) => countDeployment(series, ended),
    scrape: async () => {
      await refresh(series, options);
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}

type Series = ReturnType<typeof seriesIn>;

function seriesIn(registry: Registry) {
  const registers = [registry];
  return {
    requests: new Histogram({
      name: `${prefix}http_request_duration_seconds`,
      help: 'Time to answer an HTTP request, long polls included.',
      labelNames: ['method', 'route', 'status'],
      buckets: requestBuckets,
      registers,
    }),
    deliveries: new Counter({
      name: `${prefix}webhook_deliveries_total`,
      help: 'Webhook deliveries, by what became of them.',
      labelNames: ['outcome'],
      registers,
    }),
    ended: new Counter({
      name: `${prefix}deployments_ended_total`,
      help: 'Deployments that ended, by how they ended and what began them.',
      labelNames: ['status', 'trigger'],
      registers,
    }),
    duration: new Histogram({
      name: `${prefix}deployment_duration_seconds`,
      help: 'Time from the creation of a deployment to its end.',
      labelNames: ['status'],
      buckets: workBuckets,
      registers,
    }),
    phases: new Histogram({
      name: `${prefix}deployment_phase_duration_seconds`,
      help: 'Time a deployment spent in one of its states.',
      labelNames: ['phase'],
      buckets: workBuckets,
      registers,
    }),
    builds: new Histogram({
      name: `${prefix}build_duration_seconds`,
      help: 'Time of a build, by its kind and how it ended.',
      labelNames: ['kind', 'status'],
      buckets: workBuckets,
      registers,
    }),
    rollouts: new Counter({
      name: `${prefix}rollouts_total`,
      help: 'Rollouts on one target, by how they ended.',
      labelNames: ['status'],
      registers,
    }),
    open: new Gauge({
      name: `${prefix}deployments_open`,
      help: 'Deployments that have not ended, by state.',
      labelNames: ['status'],
      registers,
    }),
    tasks: new Gauge({
      name: `${prefix}tasks`,
      help: 'Tasks of each target, by state.',
      labelNames: ['app', 'environment', 'target', 'state'],
      registers,
    }),
    standingUp: new Gauge({
      name: `${prefix}standing_up`,
      help: '1 when the last scrape could find out what stands (deployments_open, tasks), else 0.',
      registers,
    }),
  };
}

function countDeployment(series: Series, ended: DeploymentEnded): void {
  series.ended.inc({ status: ended.status, trigger: ended.trigger });
  series.duration.observe({ status: ended.status }, ended.seconds);
  for (const phase of ended.phases) series.phases.observe({ phase: phase.name }, phase.seconds);
  for (const status of ended.rollouts) series.rollouts.inc({ status });
}

/** Targets that are gone must not be told of any more, so the gauges begin anew. */
async function refresh(series: Series, { standing, log }: { standing: () => Promise<Standing>; log: Log }) {
  try {
    const now = await withinTime(standingTimeoutMs, standing());
    series.open.reset();
    for (const { status, count } of now.deployments) series.open.set({ status }, count);
    series.tasks.reset();
    for (const { count, ...labels } of now.tasks) series.tasks.set(labels, count);
    series.standingUp.set(1);
  } catch (error) {
    log.warn('what stands could not be found out for the metrics', { reason: messageOf(error) });
    series.open.reset();
    series.tasks.reset();
    series.standingUp.set(0);
  }
}
