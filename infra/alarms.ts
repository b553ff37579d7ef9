import { Duration } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { Alarm, ComparisonOperator, MathExpression, TreatMissingData, type IMetric } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { Table } from 'aws-cdk-lib/aws-dynamodb';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import { ownMetric } from './metrics.ts';
import type { FunctionName, QueuedName } from './permissions.ts';

/** What of the control plane is watched: all of it are public members of its stack. */
export type Watched = {
  readonly prefix: string;
  readonly stateMachine: StateMachine;
  readonly jobMachine: StateMachine;
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
 * `reconcile` in a dead-letter queue. Nor has a 429 of the API: it is the configured limit that holds. Both are on the
 * dashboard.
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
    const definitions = Object.entries(definitionsOf(watched));
    const alarms = definitions.map(
      ([name, definition]) => [name, this.make(name, watched.prefix, definition)] as const,
    );
    this.alarms = Object.fromEntries(alarms) as Record<AlarmName, Alarm>;
  }

  private make(name: string, prefix: string, definition: Definition): Alarm {
    const { metric, minutes, of, description } = definition;
    const isSilence = 'below' in definition;
    const alarm = new Alarm(this, name, {
      alarmName: `${prefix}-${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      alarmDescription: description,
      metric,
      threshold: isSilence ? definition.below : definition.atLeast,
      comparisonOperator: isSilence
        ? ComparisonOperator.LESS_THAN_THRESHOLD
        : ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      datapointsToAlarm: minutes,
      evaluationPeriods: of ?? minutes,
      // AWS writes no number where there was nothing to count: nothing ran, nothing waits, nothing was lost. Where calls
      // are expected, that is the very thing to be told of.
      treatMissingData: isSilence ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
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
  /** So many of the last minutes; `of` how many, the same number when left out. */
  readonly minutes: number;
  readonly of?: number;
  readonly description: string;
} & ({ readonly atLeast: number } | { readonly below: number });

const everyMinute = { period: Duration.minutes(1) };

function definitionsOf(watched: Watched) {
  const { prefix, stateMachine, jobMachine, httpApi, functions, deadLetterQueues } = watched;
  return {
    executionsFailed: {
      metric: new MathExpression({
        expression: 'FILL(deployments, 0) + FILL(jobs, 0)',
        usingMetrics: {
          deployments: stateMachine.metricFailed({ ...everyMinute, statistic: 'Sum' }),
          jobs: jobMachine.metricFailed({ ...everyMinute, statistic: 'Sum' }),
        },
        ...everyMinute,
      }),
      atLeast: 1,
      minutes: 1,
      description:
        'An execution ended without its own last step: a deployment may stand between two revisions, or a job of a build where it was. Look at the failed execution of the state machine (of deployments, or of jobs) for the cause, then at the environment (sluice status) or the job (sluice follow-job). The next run of reconcile goes on with it; if a deployment stays open, cancel it and deploy again.',
    },
    reconcileFindings: {
      metric: ownMetric(prefix, 'ReconcileFindings', { ...everyMinute, statistic: 'Sum' }),
      atLeast: 1,
      // One finding now and then is what reconcile is for; again and again is a fault that it does not heal.
      minutes: 5,
      of: 15,
      description:
        'Reconcile finds lost work again and again, for five of the last fifteen minutes. Its log says what and in which deployment (level warn); what it cannot go on with must be cancelled by hand (sluice cancel).',
    },
    reconcileStopped: {
      metric: functions.reconcile.metricInvocations({ ...everyMinute, statistic: 'Sum' }),
      below: 1,
      minutes: 10,
      description:
        'Reconcile has not been called for ten minutes: what loses its worker now stays as it is. Look whether the rule that calls it every minute is enabled, and at the reserved concurrency of the function.',
    },
    oldestQueued: {
      metric: ownMetric(prefix, 'OldestQueuedSeconds', { ...everyMinute, statistic: 'Maximum' }),
      atLeast: 3600,
      minutes: 5,
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
      description:
        'A dead-letter queue holds calls that came to nothing every time. In that of events they are events: deployments go on, time reconciles them. In that of reconcile they are its own runs: what loses its worker stays as it is until it runs again. Read a message and the log of the function at that time, mend the cause, then purge the queue.',
    },
    apiFailures: {
      metric: httpApi.metricServerError({ ...everyMinute, statistic: 'Sum' }),
      atLeast: 1,
      minutes: 3,
      of: 5,
      description:
        'The API answers 5xx in three of five minutes: deliveries from GitHub are lost until they are redelivered by hand. Look at the log of the function api, by the requestId of the access log; a 503 there is its concurrency.',
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
      description:
        'AWS throttles the steps (Lambda concurrency) or writes to the table (DynamoDB). Both are tried again, so deployments are slow and not wrong. Raise concurrency.workflow or the account limit; for the table see which key is hot.',
    },
  } satisfies Record<string, Definition>;
}

/** All writes are PutItem under a condition; those held up by an index count, too. */
function throttledWrites(table: Table): IMetric {
  return table.metricThrottledRequestsForOperation('PutItem', everyMinute);
}

const unencryptedTopic = {
  id: 'AwsSolutions-SNS2',
  reason:
    'It carries names and numbers of alarms, no secret; CloudWatch can send to an encrypted topic only by a key of the customer, at a dollar a month.',
};
