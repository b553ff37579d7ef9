import { Duration } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  Alias,
  Architecture,
  Function as LambdaFunction,
  Runtime,
  Tracing,
  type Code,
  type IFunction,
  type IVersion,
} from 'aws-cdk-lib/aws-lambda';
import { SqsDestination } from 'aws-cdk-lib/aws-lambda-destinations';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { acknowledge, acknowledgeGrants } from './acknowledge.ts';
import type { Arns } from './arns.ts';
import type { Settings } from './config.ts';
import { logGroupOptions } from './logs.ts';
import { functionLogGroup, functionName, liveAlias } from './names.ts';
import { functionGrants, functionNames, policyOf, type FunctionName, type QueuedName } from './permissions.ts';

type Size = {
  readonly description: string;
  readonly memoryMegabytes: number;
  readonly timeoutSeconds: number;
};

const sizes: Record<FunctionName, Size> = {
  // API Gateway waits for 30 s and no longer.
  api: { description: 'The HTTP API and the webhook', memoryMegabytes: 1024, timeoutSeconds: 29 },
  // A job reads an uploaded object whole to verify it: 5 GiB unless another limit is set.
  workflow: { description: 'The steps of deployments and jobs', memoryMegabytes: 1024, timeoutSeconds: 600 },
  events: { description: 'Wakes whoever waits for a change', memoryMegabytes: 512, timeoutSeconds: 60 },
  reconcile: { description: 'Goes on with what lost its worker', memoryMegabytes: 512, timeoutSeconds: 300 },
};

export type ControlFunctionsOptions = {
  readonly settings: Settings;
  readonly code: Code;
  readonly environment: Readonly<Record<string, string>>;
  readonly arns: Arns;
  /** Where what a function could not do with an event goes. */
  readonly deadLetterQueues: Readonly<Record<QueuedName, IQueue>>;
};

/** The four functions of one code, each with a role of its own. */
export class ControlFunctions extends Construct {
  readonly functions: Readonly<Record<FunctionName, LambdaFunction>>;
  readonly live: Readonly<Record<FunctionName, IFunction>>;

  constructor(scope: Construct, id: string, options: ControlFunctionsOptions) {
    super(scope, id);
    const made = functionNames.map((name) => [name, this.make(name, options)] as const);
    this.functions = Object.fromEntries(made) as Record<FunctionName, LambdaFunction>;
    this.live = Object.fromEntries(
      made.map(([name, fn]) => [
        name,
        new Alias(fn, 'Live', { aliasName: liveAlias, version: fn.currentVersion as IVersion }),
      ]),
    ) as unknown as Record<FunctionName, IFunction>;
    const { events, reconcile } = options.deadLetterQueues;
    // An event that comes an hour late wakes nobody: time has reconciled by then.
    this.live.events.configureAsyncInvoke({
      maxEventAge: Duration.hours(1),
      retryAttempts: 2,
      onFailure: new SqsDestination(events),
    });
    // It is called every minute: a run that could not begin is not made up for.
    this.live.reconcile.configureAsyncInvoke({
      maxEventAge: Duration.minutes(1),
      retryAttempts: 0,
      onFailure: new SqsDestination(reconcile),
    });
  }

  private make(name: FunctionName, options: ControlFunctionsOptions): LambdaFunction {
    const { settings, code, environment, arns } = options;
    const { description, memoryMegabytes, timeoutSeconds } = sizes[name];
    const queue = name === 'events' || name === 'reconcile' ? options.deadLetterQueues[name] : undefined;
    const reserved = name === 'events' ? undefined : settings.concurrency[name];
    const fn = new LambdaFunction(this, `${name[0]?.toUpperCase()}${name.slice(1)}`, {
      functionName: functionName(settings.prefix, name),
      description: `${description} (Sluice)`,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      code,
      handler: `${name}.handler`,
      memorySize: memoryMegabytes,
      timeout: Duration.seconds(timeoutSeconds),
      environment: { ...environment },
      role: this.role(name, arns).withoutPolicyUpdates(),
      logGroup: new LogGroup(this, `${name}Log`, {
        logGroupName: functionLogGroup(settings.prefix, name),
        ...logGroupOptions(settings),
      }),
      // A trace for each of 43,200 runs a month that find nothing would cost more than the runs.
      tracing: name === 'reconcile' ? Tracing.DISABLED : Tracing.ACTIVE,
      ...(queue ? { deadLetterQueue: queue } : {}),
      ...(reserved === undefined ? {} : { reservedConcurrentExecutions: reserved }),
    });
    if (!queue) acknowledge(fn, noQueue);
    if (name === 'reconcile') acknowledge(fn, untraced);
    return fn;
  }

  private role(name: FunctionName, arns: Arns): Role {
    const grants = functionGrants(name, arns);
    const role = new Role(this, `${name}Role`, {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      description: `What the ${name} function of Sluice may do; see infra/permissions.ts`,
      // In the role itself, so that a function never begins before it.
      inlinePolicies: { calls: policyOf(grants) },
    });
    acknowledgeGrants(role, grants);
    acknowledge(role, wideFunction);
    return role;
  }
}

const noQueue = {
  id: 'Serverless-LambdaDLQ',
  reason: 'It is called synchronously, by API Gateway or Step Functions, which hear of its failure themselves.',
};

const untraced = {
  id: 'Serverless-LambdaTracing',
  reason:
    'It is called every minute by a clock; its log tells what it found, and traces of nothing cost $0.22 a month.',
};

const wideFunction = {
  id: 'Serverless-LambdaStarPermissions',
  reason: 'Each wide resource is acknowledged by itself, with its reason (AwsSolutions-IAM5); no action is wide.',
};
