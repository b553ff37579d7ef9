import { Duration } from 'aws-cdk-lib';
import { Rule, Schedule, type EventPattern } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { buildKinds, buildProjectName } from '../functions/runtime/aws-names.ts';
import { type Arns } from './arns.ts';
import type { Settings } from './config.ts';
import type { QueuedName } from './permissions.ts';

export type ControlEventsOptions = {
  readonly settings: Settings;
  readonly arns: Arns;
  readonly functions: Readonly<Record<QueuedName, IFunction>>;
  readonly deadLetterQueues: Readonly<Record<QueuedName, IQueue>>;
};

/** What happens elsewhere and wakes whoever waits; and the clock that finds what no event told. */
export class ControlEvents extends Construct {
  constructor(scope: Construct, id: string, options: ControlEventsOptions) {
    super(scope, id);
    for (const [name, pattern] of Object.entries(patternsOf(options))) {
      const rule = new Rule(this, name, { description: descriptions[name as RuleName], eventPattern: pattern });
      rule.addTarget(
        new LambdaFunction(options.functions.events, {
          deadLetterQueue: options.deadLetterQueues.events,
          // What is older wakes nobody any more: time has reconciled by then.
          maxEventAge: Duration.hours(1),
          retryAttempts: 10,
        }),
      );
    }
    new Rule(this, 'EveryMinute', {
      description: 'Sluice: goes on with what lost its worker',
      schedule: Schedule.rate(Duration.minutes(1)),
      targets: [
        new LambdaFunction(options.functions.reconcile, {
          deadLetterQueue: options.deadLetterQueues.reconcile,
          maxEventAge: Duration.minutes(1),
          retryAttempts: 1,
        }),
      ],
    });
  }
}

const descriptions = {
  Builds: 'Sluice: a build has begun or ended',
  ServiceDeployments: 'Sluice: a deployment of an ECS service has moved',
  ServiceActions: 'Sluice: an ECS service is steady, or cannot be',
  Tasks: 'Sluice: a task of an ECS service runs or has stopped',
  Executions: 'Sluice: an execution has ended without its own last step',
} as const;
type RuleName = keyof typeof descriptions;

function patternsOf({ settings, arns }: ControlEventsOptions): Record<RuleName, EventPattern> {
  const { prefix, clusters } = settings;
  const inClusters = clusters.length === 0 ? {} : { clusterArn: clusters.map((name) => arns.ecs(`cluster/${name}`)) };
  return {
    Builds: {
      source: ['aws.codebuild'],
      detailType: ['CodeBuild Build State Change'],
      // Its beginning, too: it tells what CodeBuild calls the build, by which it is stopped and its log is found.
      detail: { 'project-name': buildKinds.map((kind) => buildProjectName(prefix, kind)) },
    },
    // Its events name the service only as their resource.
    ServiceDeployments: {
      source: ['aws.ecs'],
      detailType: ['ECS Deployment State Change'],
      ...(clusters.length === 0
        ? {}
        : { resources: clusters.map((name) => ({ wildcard: arns.ecs(`service/${name}/*`) })) as unknown as string[] }),
    },
    ServiceActions: {
      source: ['aws.ecs'],
      detailType: ['ECS Service Action'],
      detail: {
        ...inClusters,
        eventName: ['SERVICE_STEADY_STATE', 'SERVICE_TASK_START_IMPAIRED', 'SERVICE_TASK_PLACEMENT_FAILURE'],
      },
    },
    Tasks: {
      source: ['aws.ecs'],
      detailType: ['ECS Task State Change'],
      // A task of a service, and not one that was run once.
      detail: { ...inClusters, group: [{ prefix: 'service:' }], lastStatus: ['RUNNING', 'STOPPED'] },
    },
    Executions: {
      source: ['aws.states'],
      detailType: ['Step Functions Execution Status Change'],
      detail: { stateMachineArn: [arns.stateMachine], status: ['FAILED', 'TIMED_OUT', 'ABORTED'] },
    },
  };
}
