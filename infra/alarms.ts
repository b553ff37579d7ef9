import { Duration } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import {
  Alarm,
  ComparisonOperator,
  MathExpression,
  TreatMissingData,
  type IMetric,
  type Metric,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { Table } from 'aws-cdk-lib/aws-dynamodb';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import { ownMetric, refusedRequests } from './metrics.ts';
import type { FunctionName, QueuedName } from './permissions.ts';

/** What of the control plane is watched: all of it are public members of its stack. */
export type Watched = {
  readonly prefix: string;
  readonly stateMachine: StateMachine;
  readonly httpApi: HttpApi;
  readonly table: Table;
  readonly functions: Readonly<Record<FunctionName, IFunction>>;
  readonly deadLetterQueues: Readonly<Record<QueuedName, IQueue>>;
};

export type AlarmName = keyof ReturnType<typeof definitionsOf>;

/**
 * What a person is told of. Each alarm says what to do; each has one metric where that is enough, as AWS counts the
 * metrics of an alarm and not the alarm. A failed deployment of an app is no alarm: it is told to whoever pushed.
 *
 * Errors of the functions have no alarm of their own, since each ends in one of these: of `api` in a 5xx, of `workflow`
 * in a failed execution (and those that are a deployment's ordinary end are errors to Lambda, too), of `events` and
 * `reconcile` in a dead-letter queue.
 */
export class ControlPlaneAlarms extends Construct {
  readonly alarms: Readonly<Record<AlarmName, Alarm>>;
  /** Where alarms are told; none without an e-mail address. */
  readonly topic: Topic | undefined;

  constructor(
    scope: Construct,
    id: string,
    options: { readonly watched: Watched; readonly email?: string | undefined },
  ) {
    super(scope, id);
    const { watched, email } = options;
    this.topic = email === undefined ? undefined : this.tellTo(email, watched.prefix);
    const definitions = Object.entries(definitionsOf(this, watched));
    const alarms = definitions.map(
      ([name, definition]) => [name, this.make(name, watched.prefix, definition)] as const,
    );
    this.alarms = Object.fromEntries(alarms) as Record<AlarmName, Alarm>;
  }

  private make(name: string, prefix: string, definition: Definition): Alarm {
    const { metric, atLeast, below, minutes, of, missing, description } = definition;
    const alarm = new Alarm(this, name, {
      alarmName: `${prefix}-${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      alarmDescription: description,
      metric,
      threshold: atLeast ?? below ?? 1,
      comparisonOperator:
        atLeast === undefined
          ? ComparisonOperator.LESS_THAN_THRESHOLD
          : ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      datapointsToAlarm: minutes,
      evaluationPeriods: of ?? minutes,
      treatMissingData: missing,
    });
    if (this.topic) {
      const action = new SnsAction(this.topic);
      alarm.addAlarmAction(action);
      alarm.addOkAction(action);
    }
    return alarm;
  }

  private tellTo(email: string, prefix: string): Topic {
    const topic = new Topic(this, 'Topic', { displayName: `Sluice (${prefix})`, enforceSSL: true });
    topic.addSubscription(new EmailSubscription(email));
    acknowledge(topic, unencryptedTopic);
    return topic;
  }
}

type Definition = {
  readonly metric: IMetric;
  readonly atLeast?: number;
  readonly below?: number;
  /** So many of the last minutes; `of` how many, the same number when left out. */
  readonly minutes: number;
  readonly of?: number;
  /** What no number means. */
  readonly missing: TreatMissingData;
  readonly description: string;
};

/** No number means that nothing happened: AWS writes none where there is nothing to count. */
const quiet = TreatMissingData.NOT_BREACHING;
const everyMinute = { period: Duration.minutes(1) };

function definitionsOf(scope: Construct, watched: Watched) {
  const { prefix, stateMachine, httpApi, functions, deadLetterQueues } = watched;
  return {
    executionsFailed: {
      metric: stateMachine.metricFailed({ ...everyMinute, statistic: 'Sum' }),
      atLeast: 1,
      minutes: 1,
      missing: quiet,
      description:
        'An execution ended without its own last step: the deployment may stand between two revisions. Look at the failed execution of the state machine for the cause, then at the environment (sluice status). The next run of reconcile ends the deployment; if it stays open, cancel it and deploy again.',
    },
    reconcileFindings: {
      metric: ownMetric(prefix, 'ReconcileFindings', { ...everyMinute, statistic: 'Sum' }),
      atLeast: 1,
      // One finding now and then is what reconcile is for; again and again is a fault that it does not heal.
      minutes: 5,
      of: 15,
      missing: quiet,
      description:
        'Reconcile finds lost work again and again, for five of the last fifteen minutes. Its log says what and in which deployment (level warn); what it cannot go on with must be cancelled by hand (sluice cancel).',
    },
    oldestQueued: {
      metric: ownMetric(prefix, 'OldestQueuedSeconds', { ...everyMinute, statistic: 'Maximum' }),
      atLeast: 3600,
      minutes: 5,
      missing: quiet,
      description:
        'A deployment has waited for an hour. Either the one before it in its lane does not end (sluice status names it: wait or cancel it), or builds are refused at the concurrency limit of CodeBuild (its quota, or builds.concurrent).',
    },
    eventsLost: {
      metric: new MathExpression({
        expression: 'FILL(events, 0) + FILL(reconcile, 0)',
        usingMetrics: Object.fromEntries(
          Object.entries(deadLetterQueues).map(([name, queue]) => [
            name,
            queue.metricApproximateNumberOfMessagesVisible({ ...everyMinute, statistic: 'Maximum' }),
          ]),
        ),
        ...everyMinute,
      }),
      atLeast: 1,
      minutes: 1,
      missing: quiet,
      description:
        'A dead-letter queue holds events that a function failed on every time. Deployments go on: time reconciles them. Read a message and the log of its function at that time, mend the cause, then purge the queue.',
    },
    reconcileSilent: {
      metric: functions.reconcile.metricInvocations({ ...everyMinute, statistic: 'Sum' }),
      below: 1,
      minutes: 5,
      // It is to be called every minute: silence is the fault.
      missing: TreatMissingData.BREACHING,
      description:
        'Reconcile has not been called for five minutes, so what loses its worker now stays as it is. See whether its rule in EventBridge is enabled and whether the function is throttled (its own or the account concurrency).',
    },
    apiFailures: {
      metric: httpApi.metricServerError({ ...everyMinute, statistic: 'Sum' }),
      atLeast: 1,
      minutes: 3,
      of: 5,
      missing: quiet,
      description:
        'The API answers 5xx in three of five minutes: deliveries from GitHub are lost until they are redelivered by hand. Look at the log of the function api, by the requestId of the access log; a 503 there is its concurrency.',
    },
    apiRefusals: {
      metric: refusedRequests(scope, watched).metric({ ...everyMinute, statistic: 'Sum' }),
      atLeast: 10,
      minutes: 5,
      missing: quiet,
      description:
        'API Gateway refuses requests with 429 for five minutes. The access log says from which addresses they come; raise throttle in the configuration if they are to be served.',
    },
    throttles: {
      metric: new MathExpression({
        expression: 'FILL(steps, 0) + FILL(writes, 0)',
        usingMetrics: {
          steps: functions.workflow.metricThrottles(everyMinute),
          writes: throttledWrites(watched.table),
        },
        ...everyMinute,
      }),
      atLeast: 1,
      minutes: 3,
      of: 5,
      missing: quiet,
      description:
        'AWS throttles the steps (Lambda concurrency) or writes to the table (DynamoDB). Both are tried again, so deployments are slow and not wrong. Raise concurrency.workflow or the account limit; for the table see which key is hot.',
    },
  } satisfies Record<string, Definition>;
}

/** All writes are PutItem under a condition; those held up by an index count, too. */
function throttledWrites(table: Table): Metric {
  return table.metricThrottledRequestsForOperation('PutItem', everyMinute) as Metric;
}

const unencryptedTopic = {
  id: 'AwsSolutions-SNS2',
  reason:
    'It carries names and numbers of alarms, no secret; CloudWatch can send to an encrypted topic only by a key of the customer, at a dollar a month.',
};
