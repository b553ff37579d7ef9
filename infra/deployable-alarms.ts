import { Duration } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, MathExpression, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { HttpCodeTarget, type ApplicationTargetGroup } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { Construct } from 'constructs';
import type { ServiceSettings } from './deployable-props.ts';

const minute = { period: Duration.minutes(1) };
/** Below so many requests in a minute a percentage says nothing. */
const fewRequests = 20;

/**
 * What undoes a rollout that the health check let pass. ECS watches them while it rolls and for a time after, which it
 * works out from their periods: so they are short. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-alarm-failure.html
 */
export function rolloutAlarms(
  scope: Construct,
  settings: ServiceSettings,
  targetGroup: ApplicationTargetGroup,
): readonly [Alarm, Alarm] {
  const { errorPercent, health, app, environment, target } = settings;
  const subject = `${app}-${environment}-${target}`;
  const { metrics } = targetGroup;
  // A task that is slow to start is unhealthy for a while, and may be.
  const unhealthyMinutes = Math.ceil(health.graceSeconds / 60) + 1;
  return [
    new Alarm(scope, 'TooManyErrors', {
      alarmDescription: `${subject} answers more than ${errorPercent} % of its requests with a 5xx: a rollout is undone by ECS; without one, look at the log of the tasks.`,
      metric: new MathExpression({
        expression: `IF(requests >= ${fewRequests}, 100 * FILL(errors, 0) / requests, 0)`,
        usingMetrics: {
          requests: metrics.requestCount(minute),
          errors: metrics.httpCodeTarget(HttpCodeTarget.TARGET_5XX_COUNT, minute),
        },
        label: 'percent of the requests',
        ...minute,
      }),
      threshold: errorPercent,
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: 2,
      // Nobody asks, so nobody is answered wrongly.
      treatMissingData: TreatMissingData.NOT_BREACHING,
    }),
    new Alarm(scope, 'UnhealthyTasks', {
      alarmDescription: `${subject} has had a task that fails its health check for ${unhealthyMinutes} minutes: a rollout is undone by ECS; without one, ECS replaces the task, and its log says why.`,
      metric: metrics.unhealthyHostCount({ ...minute, statistic: 'Maximum' }),
      threshold: 1,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      evaluationPeriods: unhealthyMinutes,
      // No task is known yet, or all have gone: the circuit breaker sees that.
      treatMissingData: TreatMissingData.NOT_BREACHING,
    }),
  ];
}
