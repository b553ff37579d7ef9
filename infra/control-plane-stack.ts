import { Aws, DefaultStackSynthesizer, Stack, type IStackSynthesizer } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import type { Project } from 'aws-cdk-lib/aws-codebuild';
import { Code, type Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import type { Construct } from 'constructs';
import type { BuildKind } from '../functions/ports/builder.ts';
import { parameterName } from '../functions/runtime/aws-names.ts';
import project from '../package.json' with { type: 'json' };
import { acknowledge } from './acknowledge.ts';
import { ControlPlaneAlarms } from './alarms.ts';
import { ControlApi } from './api.ts';
import { arnsOf } from './arns.ts';
import { ArtifactBucket } from './bucket.ts';
import { ControlBuilds } from './builds.ts';
import { settingsOf, type ControlPlaneConfig } from './config.ts';
import { ControlPlaneDashboard } from './dashboard.ts';
import { ControlEvents } from './events.ts';
import { ControlFunctions } from './functions.ts';
import { limitVariables } from './limits.ts';
import { assetPrefix, stackName } from './names.ts';
import { tellOutputs } from './outputs.ts';
import type { FunctionName, QueuedName } from './permissions.ts';
import { DeadLetterQueues } from './queues.ts';
import { ControlSecrets } from './secrets.ts';
import { RecordsTable } from './table.ts';
import { ControlStateMachine } from './state-machine.ts';

export type ControlPlaneProps = {
  readonly config: ControlPlaneConfig;
  /** The folders with the bundled functions (`api.mjs`, …) and with the build agent (`agent.mjs`). */
  readonly code: { readonly functions: string; readonly agent: string };
};

/** The whole control plane: one stack, nothing in it that costs while nothing happens but alarms and a few cents. */
export class ControlPlaneStack extends Stack {
  readonly table: RecordsTable;
  readonly bucket: ArtifactBucket;
  readonly httpApi: HttpApi;
  readonly functions: Readonly<Record<FunctionName, LambdaFunction>>;
  readonly stateMachine: ControlStateMachine;
  readonly jobMachine: ControlStateMachine;
  readonly deadLetterQueues: Readonly<Record<QueuedName, Queue>>;
  readonly buildProjects: Readonly<Record<BuildKind, Project>>;

  constructor(scope: Construct, id: string, { config, code }: ControlPlaneProps) {
    const settings = settingsOf(config);
    const { prefix } = settings;
    super(scope, id, {
      stackName: stackName(prefix),
      description: 'Sluice: from a git push to a drained, health-gated rolling deployment',
      synthesizer: new DefaultStackSynthesizer({ bucketPrefix: assetPrefix(prefix) }) as IStackSynthesizer,
      ...(settings.env ? { env: settings.env } : {}),
    });
    this.table = new RecordsTable(this, 'Records');
    this.bucket = new ArtifactBucket(this, 'Artifacts', settings);
    const arns = arnsOf(this, { prefix, table: this.table.tableArn, bucket: this.bucket.bucketArn });
    new ControlSecrets(this, 'Secrets', prefix);
    this.deadLetterQueues = new DeadLetterQueues(this, 'Failed', prefix).queues;

    const { functions, live } = new ControlFunctions(this, 'Functions', {
      settings,
      arns,
      code: Code.fromAsset(code.functions),
      environment: {
        SLUICE_PREFIX: prefix,
        SLUICE_TABLE: this.table.tableName,
        SLUICE_BUCKET: this.bucket.bucketName,
        SLUICE_STATE_MACHINE_ARN: arns.stateMachine,
        SLUICE_JOB_MACHINE_ARN: arns.jobMachine,
        SLUICE_VERSION: project.version,
        LOG_LEVEL: settings.logLevel,
        ...limitVariables(settings),
      },
      deadLetterQueues: this.deadLetterQueues,
    });
    this.functions = functions;
    this.buildProjects = new ControlBuilds(this, 'Builds', {
      settings,
      arns,
      agentFolder: code.agent,
      environment: {
        SLUICE_BUCKET: this.bucket.bucketName,
        SLUICE_REGISTRY: `${this.account}.dkr.ecr.${this.region}.${Aws.URL_SUFFIX}`,
      },
    }).projects;
    this.stateMachine = new ControlStateMachine(this, 'Deploy', { settings, arns, machine: 'deploy' });
    this.jobMachine = new ControlStateMachine(this, 'Jobs', { settings, arns, machine: 'job' });
    // The definitions name the alias by its name only.
    for (const machine of [this.stateMachine, this.jobMachine]) machine.node.addDependency(live.workflow);
    const api = new ControlApi(this, 'Api', { settings, handler: live.api });
    this.httpApi = api.httpApi;
    new ControlEvents(this, 'Events', { settings, arns, functions: live, deadLetterQueues: this.deadLetterQueues });

    // What an app's stack must know of the installation besides its prefix.
    new StringParameter(this, 'BucketName', {
      parameterName: parameterName(prefix, 'bucket-name'),
      stringValue: this.bucket.bucketName,
    });
    const { table, httpApi, stateMachine, jobMachine, deadLetterQueues } = this;
    const watched = { prefix, table, httpApi, functions, stateMachine, jobMachine, deadLetterQueues };
    const alarms = new ControlPlaneAlarms(this, 'Alarms', { watched, email: settings.alarmEmail });
    acknowledge(alarms, mailWithoutQueue);
    new ControlPlaneDashboard(this, 'Dashboard', { watched, alarms: alarms.alarms, buildProjects: this.buildProjects });
    const { stateMachineArn } = stateMachine;
    tellOutputs(this, { url: api.url, prefix, stateMachineArn, jobMachineArn: jobMachine.stateMachineArn });
  }
}

const mailWithoutQueue = {
  id: 'Serverless-SNSRedrivePolicy',
  reason: 'SNS tries a mail again by itself, and an alarm that was not told stays red on the dashboard.',
};
