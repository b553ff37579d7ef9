import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { Metric, type MetricOptions } from 'aws-cdk-lib/aws-cloudwatch';
import { FilterPattern, LogGroup, MetricFilter } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { apiLogGroup } from './names.ts';

/** As `functions/lambda/metric-names.ts` writes them; a test compares the two. */
export const metricNamespace = 'Sluice';
export const prefixDimension = 'Prefix';
export type OwnMetricName = 'ReconcileFindings' | 'OldestQueuedSeconds' | 'OpenDeployments' | 'DeploymentSeconds';

/** What the functions tell of the installation. Each costs by the hour in which it is told, so nothing is told of nothing. */
export function ownMetric(prefix: string, metricName: OwnMetricName, options: MetricOptions): Metric {
  const dimensionsMap = { [prefixDimension]: prefix, ...options.dimensionsMap };
  return new Metric({ ...options, namespace: metricNamespace, metricName, dimensionsMap });
}

/**
 * What API Gateway refused with 429: it has no metric of its own for that, so it is counted in the access log. A number
 * is written when there is one to write, and paid for then.
 */
export function refusedRequests(
  scope: Construct,
  { prefix, httpApi }: { readonly prefix: string; readonly httpApi: HttpApi },
): MetricFilter {
  const filter = new MetricFilter(scope, 'Refused', {
    logGroup: LogGroup.fromLogGroupName(scope, 'AccessLog', apiLogGroup(prefix)),
    filterPattern: FilterPattern.stringValue('$.status', '=', '429'),
    metricNamespace,
    metricName: `${prefix}-RefusedRequests`,
    metricValue: '1',
  });
  // The log group is made beside the API.
  if (httpApi.node.scope) filter.node.addDependency(httpApi.node.scope);
  return filter;
}
