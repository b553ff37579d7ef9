import { readFileSync } from 'node:fs';
import {
  BatchGetProjectsCommand,
  CodeBuildClient,
  type EnvironmentVariable,
  type Project,
} from '@aws-sdk/client-codebuild';
import { DescribeTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import {
  GetBucketEncryptionCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetPublicAccessBlockCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { DescribeStateMachineCommand, SFNClient } from '@aws-sdk/client-sfn';
import { App, Stack } from 'aws-cdk-lib';
import { beforeAll, expect, it } from 'vitest';
import { indexNames, tableInput } from '../../functions/aws/record-requests.ts';
import {
  adminTokenSecret,
  buildKinds,
  buildProjectName,
  buildRoleName,
  jobMachineName,
  secretName,
  stateMachineName,
  webhookSecretSecret,
} from '../../functions/runtime/aws-names.ts';
import { arnsOf } from '../../infra/arns.ts';
import { functionLogGroup, functionName, liveAlias, queueName, stackName } from '../../infra/names.ts';
import { functionGrants, functionNames, queuedNames } from '../../infra/permissions.ts';
import { stages } from '../../infra/stages.ts';
import { emulatorAccount } from './emulator.ts';
import type { Installed } from './installation.ts';
import { installedIn } from './read-installed.ts';

const { prefix } = stages.production;
const region = 'eu-central-1';
const arn = (service: string, resource: string) => `arn:aws:${service}:${region}:${emulatorAccount}:${resource}`;

/** What ministack's services hold after the installation. */
export function installedParts(installed: () => Installed): void {
  const config = () => installed().emulator.config;
  const read = () => installedIn(installed().emulator);
  let variables: Readonly<Record<string, string>>;

  beforeAll(async () => {
    ({ Variables: variables } = (
      await read().functionConfiguration(functionName(prefix, 'api'), liveAlias)
    ).Environment);
  });

  it('keeps its records in the table that the code expects, protected against deletion', async () => {
    const client = new DynamoDBClient(config());
    const TableName = variables['SLUICE_TABLE'] ?? '';
    const { Table } = await client.send(new DescribeTableCommand({ TableName }));
    const expected = tableInput(TableName);
    expect(Table?.KeySchema).toEqual(expected.KeySchema);
    expect(Table?.GlobalSecondaryIndexes?.map(({ IndexName }) => IndexName).sort()).toEqual([...indexNames].sort());
    for (const index of expected.GlobalSecondaryIndexes ?? []) {
      const made = Table?.GlobalSecondaryIndexes?.find(({ IndexName }) => IndexName === index.IndexName);
      expect(made).toMatchObject({ KeySchema: index.KeySchema, Projection: index.Projection });
    }
    expect(Table).toMatchObject({
      DeletionProtectionEnabled: true,
      BillingModeSummary: { BillingMode: 'PAY_PER_REQUEST' },
    });
  });

  it('keeps its blobs encrypted, versioned and private, reached by TLS alone', async () => {
    const client = new S3Client(config());
    const Bucket = variables['SLUICE_BUCKET'] ?? '';
    const { ServerSideEncryptionConfiguration } = await client.send(new GetBucketEncryptionCommand({ Bucket }));
    expect(ServerSideEncryptionConfiguration?.Rules?.[0]?.ApplyServerSideEncryptionByDefault).toMatchObject({
      SSEAlgorithm: 'AES256',
    });
    expect((await client.send(new GetBucketVersioningCommand({ Bucket }))).Status).toBe('Enabled');
    const access = await client.send(new GetPublicAccessBlockCommand({ Bucket }));
    expect(access.PublicAccessBlockConfiguration).toEqual({
      BlockPublicAcls: true,
      BlockPublicPolicy: true,
      IgnorePublicAcls: true,
      RestrictPublicBuckets: true,
    });
    const policy = await client.send(new GetBucketPolicyCommand({ Bucket }));
    const { Statement } = JSON.parse(policy.Policy ?? '') as { Statement: object[] };
    expect(Statement).toContainEqual(
      expect.objectContaining({
        Effect: 'Deny',
        Action: 's3:*',
        Principal: { AWS: '*' },
        Condition: { Bool: { 'aws:SecureTransport': 'false' } },
        Resource: [`arn:aws:s3:::${Bucket}`, `arn:aws:s3:::${Bucket}/*`],
      }),
    );
  });

  it.each([
    ['deploy', 'StateMachineArn', stateMachineName],
    ['job', 'JobMachineArn', jobMachineName],
  ] as const)(
    "runs the project's own definition of %s, every name in its place",
    async (definition, output, nameOf) => {
      const machine = await new SFNClient(config()).send(
        new DescribeStateMachineCommand({ stateMachineArn: installed().installation.outputs[output] }),
      );
      const file = readFileSync(new URL(`../../functions/workflow/${definition}.asl.json`, import.meta.url), 'utf8');
      const expected = file
        .replaceAll('${WorkflowFunction}', arn('lambda', `function:${functionName(prefix, 'workflow')}:${liveAlias}`))
        .replaceAll('${BuildProjectPrefix}', `${prefix}-build`)
        .replaceAll(
          '${BuildRolePrefix}',
          `arn:aws:iam::${emulatorAccount}:role/${prefix}/build/${buildRoleName(prefix, '')}`,
        );
      expect(JSON.parse(machine.definition ?? '')).toEqual(JSON.parse(expected));
      expect(machine).toMatchObject({ name: nameOf(prefix), type: 'STANDARD' });
    },
  );

  it.each(functionNames)('has the function %s on Node 24 for arm64, with its settings', async (name) => {
    const made = await read().functionConfiguration(functionName(prefix, name), liveAlias);
    expect(made).toMatchObject({
      Runtime: 'nodejs24.x',
      Architectures: ['arm64'],
      Handler: `${name}.handler`,
      ...(name === 'reconcile' ? {} : { TracingConfig: { Mode: 'Active' } }),
      LoggingConfig: { LogGroup: functionLogGroup(prefix, name) },
      Environment: {
        Variables: {
          SLUICE_PREFIX: prefix,
          SLUICE_TABLE: variables['SLUICE_TABLE'],
          SLUICE_BUCKET: variables['SLUICE_BUCKET'],
          SLUICE_STATE_MACHINE_ARN: arn('states', `stateMachine:${stateMachineName(prefix)}`),
          SLUICE_JOB_MACHINE_ARN: arn('states', `stateMachine:${jobMachineName(prefix)}`),
        },
      },
    });
  });

  it.each(functionNames)('gives %s a role of its own, with the actions of infra/permissions.ts', async (name) => {
    const { Role } = await read().functionConfiguration(functionName(prefix, name), liveAlias);
    const statements = await read().rolePolicy(Role.split('/').at(-1) ?? '', 'calls');
    const grants = functionGrants(name, arnsOf(new Stack(new App()), { prefix, table: 'table', bucket: 'bucket' }));
    const actions = (of: readonly (string | readonly string[])[]) => [...new Set(of.flat())].sort();
    expect(actions(statements.map(({ Action }) => Action))).toEqual(actions(grants.map(({ actions }) => actions)));
    expect(statements.filter(({ Effect }) => Effect !== 'Allow')).toEqual([]);
    expect(statements.flatMap(({ Resource }) => Resource).filter((resource) => resource.includes('${'))).toEqual([]);
  });

  it('calls reconcile every minute, and events for what happens elsewhere, with a queue for what fails', async () => {
    const rules = await read().rules();
    const called = (name: (typeof queuedNames)[number]) =>
      rules.filter(({ Targets }) =>
        Targets.some(({ Arn }) => Arn === arn('lambda', `function:${functionName(prefix, name)}:${liveAlias}`)),
      );
    expect(called('reconcile').map(({ ScheduleExpression, State }) => [ScheduleExpression, State])).toEqual([
      ['rate(1 minute)', 'ENABLED'],
    ]);
    const sources = called('events').flatMap(
      ({ EventPattern = '{}' }) => (JSON.parse(EventPattern) as { source: string[] }).source,
    );
    expect([...new Set(sources)].sort()).toEqual(['aws.codebuild', 'aws.ecs', 'aws.states']);
    for (const name of queuedNames) {
      for (const { Targets } of called(name)) {
        expect(Targets[0]?.DeadLetterConfig?.Arn).toBe(arn('sqs', queueName(prefix, name)));
      }
    }
  });

  it.each(buildKinds)('has the project of %s builds, with the agent as its source', async (kind) => {
    const { projects = [] } = await new CodeBuildClient(config()).send(
      new BatchGetProjectsCommand({ names: [buildProjectName(prefix, kind)] }),
    );
    const [project] = projects;
    expect(project?.source).toMatchObject({
      type: 'S3',
      buildspec: expect.stringContaining('node "$SLUICE_AGENT" export'),
    });
    expect(project?.environment?.privilegedMode ?? false).toBe(kind === 'image' || kind === 'check');
    expect(environmentOf(project)).toMatchObject({
      SLUICE_AGENT: 'agent.mjs',
      SLUICE_PREFIX: prefix,
      SLUICE_BUCKET: variables['SLUICE_BUCKET'],
      SLUICE_REGISTRY: `${emulatorAccount}.dkr.ecr.${region}.amazonaws.com`,
    });
  });

  it('made up its own two secrets', async () => {
    const values = [await secretValue(adminTokenSecret), await secretValue(webhookSecretSecret)];
    // It leaves out no punctuation, as it is told to.
    for (const value of values) expect(value).toHaveLength(48);
    expect(values[0]).not.toBe(values[1]);
  });

  it('was told also what its CloudFormation does not carry on: backups, expiry, tracing, logs, failed events', async () => {
    const of = async (type: string) =>
      (await read().templateResources(stackName(prefix), type)).map(({ Properties }) => Properties);
    expect(await of('AWS::DynamoDB::Table')).toMatchObject([
      {
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
        TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true },
      },
    ]);
    const [bucket] = (await of('AWS::S3::Bucket')) as { LifecycleConfiguration: { Rules: object[] } }[];
    expect(bucket?.LifecycleConfiguration.Rules).toContainEqual(
      expect.objectContaining({ Prefix: 'uploads/', ExpirationInDays: 7 }),
    );
    // A task token in a log would let its reader answer for us.
    const quiet = { TracingConfiguration: { Enabled: true }, LoggingConfiguration: { IncludeExecutionData: false } };
    expect(await of('AWS::StepFunctions::StateMachine')).toMatchObject([quiet, quiet]);
    const queued = (await of('AWS::Lambda::Function')).filter(({ DeadLetterConfig }) => DeadLetterConfig);
    const names = queuedNames.map((name) => functionName(prefix, name));
    expect(new Set(queued.map(({ FunctionName }) => FunctionName))).toEqual(new Set(names));
  });

  async function secretValue(name: string): Promise<string> {
    const { SecretString = '' } = await new SecretsManagerClient(config()).send(
      new GetSecretValueCommand({ SecretId: secretName(prefix, name) }),
    );
    return SecretString;
  }
}

function environmentOf(project: Project | undefined): Record<string, string> {
  const variables: readonly EnvironmentVariable[] = project?.environment?.environmentVariables ?? [];
  return Object.fromEntries(variables.map(({ name = '', value = '' }) => [name, value]));
}
