import type { Metrics } from '../runtime/metrics.ts';
import type { EpochMs } from '../runtime/units.ts';
import type { Reconciled } from '../deployments/reconcile.ts';
import { metricNames, metricNamespace, prefixDimension, type MetricName } from './metric-names.ts';

export type MetricUnit = 'Count' | 'Seconds';
export type Told = {
  readonly values: Readonly<Partial<Record<MetricName, readonly [value: number, unit: MetricUnit]>>>;
  /** Dimensions besides `Prefix`. Every different set of values is a metric that costs by the month. */
  readonly dimensions?: Readonly<Record<string, string>>;
};
export type Tell = (told: Told) => void;

/**
 * Tells CloudWatch numbers by a line of the log, in its embedded metric format: no call, no client. Written here and not
 * by a library: it is this one object, and the library for it took 11 ms of a cold start.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
export function embeddedMetrics(options: {
  readonly prefix: string;
  readonly clock: () => EpochMs;
  readonly write: (line: string) => void;
}): Tell {
  return ({ values, dimensions = {} }) => {
    const metrics = Object.entries(values);
    options.write(
      `${JSON.stringify({
        _aws: {
          Timestamp: options.clock(),
          CloudWatchMetrics: [
            {
              Namespace: metricNamespace,
              Dimensions: [[prefixDimension, ...Object.keys(dimensions)]],
              Metrics: metrics.map(([Name, [, Unit]]) => ({ Name, Unit })),
            },
          ],
        },
        [prefixDimension]: options.prefix,
        ...dimensions,
        ...Object.fromEntries(metrics.map(([name, [value]]) => [name, value])),
      })}\n`,
    );
  };
}

/**
 * What the control plane counts, as CloudWatch is told of it. Requests are counted by API Gateway itself, and phases and
 * rollouts stand in the timelines: a metric more for each would cost more than it tells. How many ended is how many
 * durations were told.
 */
export function cloudWatchMetrics(tell: Tell): Metrics {
  const { webhookDeliveries, deploymentSeconds, buildSeconds } = metricNames;
  return {
    httpRequest: () => {},
    webhookDelivery: (outcome) =>
      tell({ values: { [webhookDeliveries]: [1, 'Count'] }, dimensions: { Outcome: outcome } }),
    deploymentEnded: ({ status, seconds }) =>
      tell({ values: { [deploymentSeconds]: [seconds, 'Seconds'] }, dimensions: { Status: status } }),
    buildEnded: ({ status, seconds }) =>
      tell({ values: { [buildSeconds]: [seconds, 'Seconds'] }, dimensions: { Status: status } }),
  };
}

/** What a look at everything has found; nothing of what is 0, which would be paid for every hour. */
export function tellReconciled(tell: Tell, { open, findings, oldestQueuedSeconds }: Reconciled): void {
  const values = {
    ...(open > 0 ? { [metricNames.openDeployments]: [open, 'Count'] as const } : {}),
    ...(findings > 0 ? { [metricNames.reconcileFindings]: [findings, 'Count'] as const } : {}),
    ...(oldestQueuedSeconds > 0
      ? { [metricNames.oldestQueuedSeconds]: [oldestQueuedSeconds, 'Seconds'] as const }
      : {}),
  };
  if (Object.keys(values).length > 0) tell({ values });
}
