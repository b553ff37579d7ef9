/**
 * What the functions tell CloudWatch, by embedded metric format. Every metric has the dimension `Prefix`, which is the
 * installation's; a further dimension is named beside it. Nothing is told of nothing: a metric costs by the hour in
 * which it is told, so an idle installation has none, and an alarm takes silence for fine.
 */
export const metricNamespace = 'Sluice';
export const prefixDimension = 'Prefix';

export const metricNames = {
  /** Deployments that had lost their worker, hung or could not go on: what reconcile had to mend. Count. */
  reconcileFindings: 'ReconcileFindings',
  /** How long the oldest deployment has waited that has not begun. Seconds. */
  oldestQueuedSeconds: 'OldestQueuedSeconds',
  /** Deployments that are not settled. Count. */
  openDeployments: 'OpenDeployments',
  /** Deliveries of GitHub's, by `Outcome`: accepted, repeated, ignored, refused, failed. Count. */
  webhookDeliveries: 'WebhookDeliveries',
  /** From a deployment's creation to its end, by `Status`; the sample count is how many ended so. Seconds. */
  deploymentSeconds: 'DeploymentSeconds',
  /** From a build's creation to its end, by `Status`; the sample count is how many ended so. Seconds. */
  buildSeconds: 'BuildSeconds',
} as const;

export type MetricName = (typeof metricNames)[keyof typeof metricNames];
