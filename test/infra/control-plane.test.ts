import { describe, expect, it } from 'vitest';
import { tableInput } from '../../functions/aws/record-requests.ts';
import {
  buildKinds,
  buildLogGroup,
  buildPolicyName,
  buildProjectName,
  jobMachineName,
  parameterName,
  stateMachineName,
} from '../../functions/runtime/aws-names.ts';
import { functionNames } from '../../infra/permissions.ts';
import { flat, resourceOf, resourcesOf, templateOf } from './stand-in.ts';

const template = templateOf();
const named = (type: string, start = '') => resourceOf(template, type, start).Properties;

describe('the table', () => {
  const table = resourceOf(template, 'AWS::DynamoDB::Table');

  it('has the keys and indexes that the records are asked by', () => {
    const { TableName: _, AttributeDefinitions, ...asked } = tableInput('records');
    expect(table.Properties).toMatchObject(asked);
    const attributes = table.Properties['AttributeDefinitions'] as NonNullable<typeof AttributeDefinitions>;
    expect(new Set(attributes.map((attribute) => JSON.stringify(attribute)))).toEqual(
      new Set(AttributeDefinitions?.map((attribute) => JSON.stringify(attribute))),
    );
  });

  it('outlives its stack, its mistakes, and a hand that deletes', () => {
    expect(table).toMatchObject({
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
      Properties: {
        DeletionProtectionEnabled: true,
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
        TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true },
      },
    });
  });
});

describe('the bucket', () => {
  const bucket = resourceOf(template, 'AWS::S3::Bucket');

  it('is encrypted, never public, and outlives its stack', () => {
    expect(bucket).toMatchObject({
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
      Properties: {
        BucketEncryption: {
          ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }],
        },
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: true,
          BlockPublicPolicy: true,
          IgnorePublicAcls: true,
          RestrictPublicBuckets: true,
        },
        OwnershipControls: { Rules: [{ ObjectOwnership: 'BucketOwnerEnforced' }] },
        VersioningConfiguration: { Status: 'Enabled' },
      },
    });
  });

  it('expires what is unfinished, unverified or replaced, and no artifact', () => {
    const { Rules } = bucket.Properties['LifecycleConfiguration'] as { Rules: Record<string, unknown>[] };
    expect(Rules.every(({ Status }) => Status === 'Enabled')).toBe(true);
    expect(Rules).toContainEqual(
      expect.objectContaining({ AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 } }),
    );
    expect(Rules).toContainEqual(expect.objectContaining({ NoncurrentVersionExpiration: { NoncurrentDays: 30 } }));
    // A finished upload is deleted when it is a blob: it need not be kept twice.
    expect(Rules).toContainEqual(
      expect.objectContaining({ Prefix: 'uploads/', NoncurrentVersionExpiration: { NoncurrentDays: 1 } }),
    );
    const expiring = Rules.filter((rule) => 'ExpirationInDays' in rule);
    expect(expiring.map(({ Prefix }) => Prefix)).toEqual(['uploads/']);
  });

  it('refuses whatever does not come by TLS 1.2', () => {
    const { Statement } = named('AWS::S3::BucketPolicy')['PolicyDocument'] as { Statement: Record<string, unknown>[] };
    expect(Statement.map(({ Effect, Principal, Condition }) => ({ Effect, Principal, Condition }))).toEqual([
      { Effect: 'Deny', Principal: { AWS: '*' }, Condition: { Bool: { 'aws:SecureTransport': 'false' } } },
      { Effect: 'Deny', Principal: { AWS: '*' }, Condition: { NumericLessThan: { 's3:TlsVersion': 1.2 } } },
    ]);
  });

  it('tells another bucket who asked for what, where one is named', () => {
    const told = resourceOf(templateOf({ accessLogBucket: 'acme-logs' }), 'AWS::S3::Bucket');
    expect(told.Properties['LoggingConfiguration']).toEqual({
      DestinationBucketName: 'acme-logs',
      LogFilePrefix: 'sluice/artifacts/',
    });
    expect(bucket.Properties['LoggingConfiguration']).toBeUndefined();
  });
});

describe('the secrets', () => {
  it('are made up by AWS, and stand in no template', () => {
    const secrets = resourcesOf(template, 'AWS::SecretsManager::Secret').map(([, { Properties }]) => Properties);
    expect(secrets.map(({ Name }) => Name)).toEqual(['sluice/control/admin-token', 'sluice/control/webhook-secret']);
    for (const secret of secrets) {
      expect(secret['GenerateSecretString']).toEqual({ PasswordLength: 48, ExcludePunctuation: true });
      expect(secret['SecretString']).toBeUndefined();
    }
  });

  it('are in no environment and no output, not even by reference', () => {
    const text = JSON.stringify([
      resourcesOf(template, 'AWS::Lambda::Function'),
      resourcesOf(template, 'AWS::CodeBuild::Project'),
      template.toJSON()['Outputs'],
    ]);
    expect(text).not.toContain('resolve:secretsmanager');
    expect(text).not.toContain('SECRETS_MANAGER');
    expect(text).not.toMatch(/SLUICE_(ADMIN_TOKEN|WEBHOOK_SECRET)/);
  });
});

describe('the functions', () => {
  const functions = resourcesOf(template, 'AWS::Lambda::Function');
  const of = (name: string) => named('AWS::Lambda::Function', `Functions${name}`);

  it('are four, each with its own handler, role and log', () => {
    expect(functions.map(([, { Properties }]) => Properties['Handler'])).toEqual(
      functionNames.map((name) => `${name}.handler`),
    );
    for (const property of ['FunctionName', 'Role', 'LoggingConfig']) {
      expect(new Set(functions.map(([, { Properties }]) => JSON.stringify(Properties[property]))).size).toBe(4);
    }
  });

  it.each(functions)(
    '%s runs on Node 24 for arm64, is traced but for the one on a clock, and knows where everything is',
    (_id, { Properties }) => {
      expect(Properties).toMatchObject({
        Runtime: 'nodejs24.x',
        Architectures: ['arm64'],
        ...(Properties['Handler'] === 'reconcile.handler' ? {} : { TracingConfig: { Mode: 'Active' } }),
        MemorySize: expect.any(Number),
      });
      const { Variables } = Properties['Environment'] as { Variables: Record<string, unknown> };
      expect(Object.keys(Variables).sort()).toEqual([
        'LOG_LEVEL',
        'SLUICE_BUCKET',
        'SLUICE_JOB_MACHINE_ARN',
        'SLUICE_PREFIX',
        'SLUICE_STATE_MACHINE_ARN',
        'SLUICE_TABLE',
        'SLUICE_VERSION',
      ]);
      expect(flat(Variables['SLUICE_STATE_MACHINE_ARN'])).toMatch(
        new RegExp(`:stateMachine:${stateMachineName('sluice')}$`),
      );
      expect(flat(Variables['SLUICE_JOB_MACHINE_ARN'])).toMatch(
        new RegExp(`:stateMachine:${jobMachineName('sluice')}$`),
      );
    },
  );

  it('end before whoever waits for them has gone', () => {
    const seconds = Object.fromEntries(
      functions.map(([, { Properties }]) => [Properties['Handler'], Properties['Timeout']]),
    );
    expect(seconds).toEqual({
      'api.handler': 29,
      'workflow.handler': 600,
      'events.handler': 60,
      'reconcile.handler': 300,
    });
  });

  it('set nothing aside of the account but one reconcile at a time, and not even that where it is shared', () => {
    expect(functions.map(([, { Properties }]) => Properties['ReservedConcurrentExecutions'])).toEqual([
      undefined,
      undefined,
      undefined,
      1,
    ]);
    const shared = templateOf({ concurrency: { reconcile: 'shared', api: 20 } });
    expect(
      resourcesOf(shared, 'AWS::Lambda::Function').map(
        ([, { Properties }]) => Properties['ReservedConcurrentExecutions'],
      ),
    ).toEqual([20, undefined, undefined, undefined]);
  });

  it('are called by their alias only, which turns from one version to the next at once', () => {
    const aliases = resourcesOf(template, 'AWS::Lambda::Alias');
    expect(aliases.map(([, { Properties }]) => Properties['Name'])).toEqual(['live', 'live', 'live', 'live']);
    const callers = resourcesOf(template, 'AWS::Lambda::Permission').map(([, { Properties }]) =>
      flat(Properties['FunctionName']),
    );
    expect(callers.length).toBeGreaterThan(5);
    for (const called of callers) expect(aliases.map(([id]) => `<${id}>`)).toContain(called);
  });

  it('put what they fail on in a queue where nobody waits for an answer', () => {
    expect(flat((of('Events')['DeadLetterConfig'] as { TargetArn: unknown }).TargetArn)).toMatch(
      /^<Failedevents\w+\.Arn>$/,
    );
    expect(flat((of('Reconcile')['DeadLetterConfig'] as { TargetArn: unknown }).TargetArn)).toMatch(
      /^<Failedreconcile/,
    );
    const later = resourcesOf(template, 'AWS::Lambda::EventInvokeConfig').map(([, { Properties }]) => Properties);
    expect(later).toMatchObject([
      { MaximumEventAgeInSeconds: 3600, MaximumRetryAttempts: 2, DestinationConfig: { OnFailure: {} } },
      { MaximumEventAgeInSeconds: 60, MaximumRetryAttempts: 0, DestinationConfig: { OnFailure: {} } },
    ]);
  });
});

describe('the API', () => {
  it('sends everything to one function, and no faster than it is told', () => {
    const routes = resourcesOf(template, 'AWS::ApiGatewayV2::Route').map(
      ([, { Properties }]) => Properties['RouteKey'],
    );
    expect(routes).toEqual(['$default']);
    expect(named('AWS::ApiGatewayV2::Integration')).toMatchObject({
      PayloadFormatVersion: '2.0',
      IntegrationType: 'AWS_PROXY',
    });
    expect(named('AWS::ApiGatewayV2::Stage')).toMatchObject({
      StageName: '$default',
      DefaultRouteSettings: { ThrottlingRateLimit: 50, ThrottlingBurstLimit: 100 },
    });
    const slow = templateOf({ throttle: { requestsPerSecond: 5, burst: 7 } });
    expect(resourceOf(slow, 'AWS::ApiGatewayV2::Stage').Properties['DefaultRouteSettings']).toEqual({
      ThrottlingRateLimit: 5,
      ThrottlingBurstLimit: 7,
    });
  });

  it('writes a line for each request, with no header and no query in it', () => {
    const { Format } = named('AWS::ApiGatewayV2::Stage')['AccessLogSettings'] as { Format: string };
    const fields = Object.values(JSON.parse(Format) as Record<string, string>);
    expect(fields).toContain('$context.status');
    expect(fields.join(' ')).not.toMatch(/header|query|authorizer/i);
  });

  const certificateArn = 'arn:aws:acm:eu-central-1:111111111111:certificate/0a1b2c3d-0000-4000-8000-000000000000';
  const hostedZone = { id: 'Z0ABC', name: 'example.com' };

  it('has a name of its own where one is given, by TLS 1.2 at least', () => {
    const own = templateOf({ domain: { name: 'sluice.example.com', certificateArn } });
    expect(resourceOf(own, 'AWS::ApiGatewayV2::DomainName').Properties).toMatchObject({
      DomainName: 'sluice.example.com',
      DomainNameConfigurations: [
        { CertificateArn: certificateArn, SecurityPolicy: 'TLS_1_2', EndpointType: 'REGIONAL' },
      ],
    });
    own.resourceCountIs('AWS::ApiGatewayV2::ApiMapping', 1);
    own.resourceCountIs('AWS::Route53::RecordSet', 0);
    own.hasResourceProperties('AWS::ApiGatewayV2::Api', { DisableExecuteApiEndpoint: true });
    expect(own.toJSON()['Outputs']).toMatchObject({
      ApiUrl: { Value: 'https://sluice.example.com' },
      WebhookUrl: { Value: 'https://sluice.example.com/webhooks/github' },
    });
  });

  it('gets its certificate and record in a hosted zone', () => {
    const own = templateOf({ domain: { name: 'sluice.example.com', hostedZone } });
    expect(resourceOf(own, 'AWS::CertificateManager::Certificate').Properties).toMatchObject({
      DomainName: 'sluice.example.com',
      ValidationMethod: 'DNS',
      DomainValidationOptions: [{ DomainName: 'sluice.example.com', HostedZoneId: 'Z0ABC' }],
    });
    expect(resourceOf(own, 'AWS::Route53::RecordSet').Properties).toMatchObject({
      Name: 'sluice.example.com.',
      Type: 'A',
      HostedZoneId: 'Z0ABC',
    });
  });
});

describe('the build projects', () => {
  const of = (kind: string) => named('AWS::CodeBuild::Project', `Builds${kind}`);

  it('are one a kind, and only those that make images or run them are privileged', () => {
    const projects = buildKinds.map((kind) => of(kind));
    expect(projects.map(({ Name }) => Name)).toEqual(buildKinds.map((kind) => buildProjectName('sluice', kind)));
    const privileged = projects.map(({ Environment }) => (Environment as { PrivilegedMode: boolean }).PrivilegedMode);
    expect(Object.fromEntries(buildKinds.map((kind, index) => [kind, privileged[index]]))).toEqual({
      image: true,
      bundle: false,
      fetch: false,
      registry: false,
      import: false,
      check: true,
    });
  });

  it.each(buildKinds)('%s ends, waits no longer than it should, and is not repeated behind our back', (kind) => {
    expect(of(kind)).toMatchObject({ TimeoutInMinutes: 60, QueuedTimeoutInMinutes: 60, AutoRetryLimit: 0 });
    expect(of(kind)['ConcurrentBuildLimit']).toBeUndefined();
    const limited = templateOf({ builds: { concurrent: 3, queuedMinutes: 5 } });
    expect(resourceOf(limited, 'AWS::CodeBuild::Project', `Builds${kind}`).Properties).toMatchObject({
      ConcurrentBuildLimit: 3,
      QueuedTimeoutInMinutes: 5,
    });
  });

  it.each(buildKinds)('%s has its own log, the agent as its source, and what the agent must know', (kind) => {
    const { LogsConfig, Source, Environment } = of(kind) as {
      LogsConfig: { CloudWatchLogs: { Status: string; GroupName: unknown } };
      Source: { Type: string; Location: unknown };
      Environment: { EnvironmentVariables: { Name: string; Type: string; Value: unknown }[] };
    };
    expect(LogsConfig.CloudWatchLogs.Status).toBe('ENABLED');
    const [id = ''] = /\w+/.exec(flat(LogsConfig.CloudWatchLogs.GroupName)) ?? [];
    expect(resourceOf(template, 'AWS::Logs::LogGroup', id).Properties['LogGroupName']).toBe(
      buildLogGroup('sluice', kind),
    );
    expect(Source.Type).toBe('S3');
    expect(flat(Source.Location)).toMatch(/\/sluice-control-plane\/[0-9a-f]{64}\.zip$/);
    const variables = Object.fromEntries(
      Environment.EnvironmentVariables.map(({ Name, Value }) => [Name, flat(Value)]),
    );
    expect(variables).toEqual({
      SLUICE_AGENT: 'agent.mjs',
      SLUICE_WORK: '/tmp/sluice-work',
      SLUICE_PREFIX: 'sluice',
      SLUICE_BUCKET: expect.stringMatching(/^<Artifacts/) as string,
      SLUICE_REGISTRY: '<AWS::AccountId>.dkr.ecr.<AWS::Region>.<AWS::URLSuffix>',
    });
    expect(Environment.EnvironmentVariables.every(({ Type }) => Type === 'PLAINTEXT')).toBe(true);
  });

  it('run on a machine whose size is said, on either architecture', () => {
    const machines = (made: typeof template) =>
      buildKinds.map((kind) => {
        const { Environment } = resourceOf(made, 'AWS::CodeBuild::Project', `Builds${kind}`).Properties;
        const { Type, ComputeType, Image } = Environment as Record<string, string>;
        return [Type, ComputeType, Image].join(' ');
      });
    const intel = (size: string) =>
      `LINUX_CONTAINER BUILD_GENERAL1_${size} aws/codebuild/amazonlinux-x86_64-standard:6.0`;
    const arm = (size: string) => `ARM_CONTAINER BUILD_GENERAL1_${size} aws/codebuild/amazonlinux-aarch64-standard:4.0`;
    const small = (of: (size: string) => string) => [of('SMALL'), of('SMALL'), of('SMALL')];
    expect(machines(template)).toEqual([intel('MEDIUM'), intel('SMALL'), ...small(intel), intel('MEDIUM')]);
    const other = templateOf({ builds: { architecture: 'arm64', imageSize: 'large', bundleSize: 'medium' } });
    expect(machines(other)).toEqual([arm('LARGE'), arm('MEDIUM'), ...small(arm), arm('LARGE')]);
  });

  it('are in no network unless they are told, and then in one that lets nothing in', () => {
    expect(buildKinds.filter((kind) => of(kind)['VpcConfig'] !== undefined)).toEqual([]);
    const inside = templateOf({
      builds: { vpc: { id: 'vpc-0a1b2c3d', subnetIds: ['subnet-0a1b2c3d', 'subnet-1a1b2c3d'] } },
    });
    const group = resourceOf(inside, 'AWS::EC2::SecurityGroup');
    expect(group.Properties).toMatchObject({ VpcId: 'vpc-0a1b2c3d' });
    expect(group.Properties['SecurityGroupIngress']).toBeUndefined();
    inside.resourceCountIs('AWS::EC2::SecurityGroupIngress', 0);
    expect(resourceOf(inside, 'AWS::CodeBuild::Project', 'Buildsimage').Properties['VpcConfig']).toMatchObject({
      VpcId: 'vpc-0a1b2c3d',
      Subnets: ['subnet-0a1b2c3d', 'subnet-1a1b2c3d'],
    });
  });

  it('give every build its agent and its log by a policy that an upgrade changes for all apps at once', () => {
    expect(named('AWS::IAM::ManagedPolicy')['ManagedPolicyName']).toBe(buildPolicyName('sluice'));
  });
});

describe('the events', () => {
  const rules = Object.fromEntries(
    resourcesOf(template, 'AWS::Events::Rule').map(([id, { Properties }]) => [
      id.replace(/^Events|[0-9A-F]{8}$/g, ''),
      Properties,
    ]),
  );

  it('come from builds, services, tasks and executions, and from the clock', () => {
    expect(Object.keys(rules).sort()).toEqual([
      'Builds',
      'EveryMinute',
      'Executions',
      'ServiceActions',
      'ServiceDeployments',
      'Tasks',
    ]);
    expect(rules['EveryMinute']?.['ScheduleExpression']).toBe('rate(1 minute)');
  });

  it.each(Object.entries(rules))('%s that cannot be delivered are in a queue', (_name, { Targets }) => {
    const targets = Targets as { RetryPolicy: object; DeadLetterConfig: { Arn: unknown } }[];
    expect(targets).toHaveLength(1);
    expect(targets[0]?.RetryPolicy).toEqual({
      MaximumEventAgeInSeconds: expect.any(Number) as number,
      MaximumRetryAttempts: expect.any(Number) as number,
    });
    expect(flat(targets[0]?.DeadLetterConfig.Arn)).toMatch(/^<Failed(events|reconcile)\w+\.Arn>$/);
  });

  it('are those of our own builds and our own state machine', () => {
    // Of every status: by its first event a build is found again, by its last one whoever waits goes on.
    expect(rules['Builds']?.['EventPattern']).toEqual({
      source: ['aws.codebuild'],
      'detail-type': ['CodeBuild Build State Change'],
      detail: { 'project-name': buildKinds.map((kind) => buildProjectName('sluice', kind)) },
    });
    const pattern = rules['Executions']?.['EventPattern'] as { detail: { stateMachineArn: unknown[] } } | undefined;
    expect(pattern?.detail.stateMachineArn.map(flat)).toEqual([
      'arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:stateMachine:sluice-deploy',
    ]);
  });

  it('are those of the clusters that are named', () => {
    const some = templateOf({ clusters: ['web'] });
    const pattern = (id: string) => resourceOf(some, 'AWS::Events::Rule', `Events${id}`).Properties['EventPattern'];
    const arn = (resource: string) => `arn:<AWS::Partition>:ecs:<AWS::Region>:<AWS::AccountId>:${resource}`;
    for (const id of ['Tasks', 'ServiceActions']) {
      const { detail } = pattern(id) as { detail: { clusterArn: unknown[] } };
      expect(detail.clusterArn.map(flat)).toEqual([arn('cluster/web')]);
    }
    const { resources } = pattern('ServiceDeployments') as { resources: { wildcard: unknown }[] };
    expect(resources.map(({ wildcard }) => flat(wildcard))).toEqual([arn('service/web/*')]);
  });
});

describe('the queues', () => {
  it('are encrypted, take nothing in plain, and keep it for as long as they can', () => {
    const queues = resourcesOf(template, 'AWS::SQS::Queue');
    expect(queues.map(([, { Properties }]) => Properties)).toEqual(
      ['events', 'reconcile'].map((name) => ({
        QueueName: `sluice-${name}-failed`,
        SqsManagedSseEnabled: true,
        MessageRetentionPeriod: 14 * 24 * 60 * 60,
      })),
    );
    const policies = resourcesOf(template, 'AWS::SQS::QueuePolicy').map(([, { Properties }]) =>
      JSON.stringify(Properties),
    );
    expect(policies).toHaveLength(2);
    for (const policy of policies) expect(policy).toContain('"Condition":{"Bool":{"aws:SecureTransport":"false"}}');
  });
});

describe('the stack', () => {
  it('has nothing that is always on', () => {
    const always = [
      'AWS::EC2::NatGateway', 'AWS::EC2::VPC', 'AWS::EC2::VPCEndpoint', 'AWS::EC2::Instance', 'AWS::ECS::Service',
      'AWS::ElasticLoadBalancingV2::LoadBalancer', 'AWS::Lambda::ProvisionedConcurrencyConfig', 'AWS::KMS::Key',
      'AWS::RDS::DBInstance', 'AWS::EFS::FileSystem',
    ]; // prettier-ignore
    for (const type of always) template.resourceCountIs(type, 0);
    expect(JSON.stringify(template.toJSON())).not.toContain('ProvisionedConcurrency');
  });

  it('keeps every log for as long as it is told and no longer', () => {
    const groups = resourcesOf(templateOf({ logDays: 7 }), 'AWS::Logs::LogGroup');
    expect(groups).toHaveLength(13);
    for (const [, { Properties }] of groups) expect(Properties['RetentionInDays']).toBe(7);
  });

  it('tells apps the name of its bucket, by its prefix', () => {
    expect(named('AWS::SSM::Parameter')).toMatchObject({
      Name: parameterName('sluice', 'bucket-name'),
      Type: 'String',
    });
  });

  it('tells people the rest, and no secret', () => {
    const outputs = template.toJSON()['Outputs'] as Record<string, { Value: unknown; Description: string }>;
    const told = Object.fromEntries(Object.entries(outputs).map(([name, { Value }]) => [name, flat(Value)]));
    expect(Object.keys(told)).toEqual(
      expect.arrayContaining([
        'ApiUrl',
        'WebhookUrl',
        'AdminTokenCommand',
        'WebhookSecretCommand',
        'StateMachineArn',
        'JobMachineArn',
      ]),
    );
    expect(told['WebhookUrl']).toBe(`${told['ApiUrl']}/webhooks/github`);
    expect(told['AdminTokenCommand']).toBe(
      'aws secretsmanager get-secret-value --region <AWS::Region> --secret-id sluice/control/admin-token --query SecretString --output text',
    );
  });

  it('goes to the account and region that are named', () => {
    const there = templateOf({ account: '111111111111', region: 'eu-central-1' });
    const { Variables } = resourceOf(there, 'AWS::Lambda::Function', 'FunctionsApi').Properties['Environment'] as {
      Variables: Record<string, unknown>;
    };
    expect(flat(Variables['SLUICE_STATE_MACHINE_ARN'])).toBe(
      'arn:<AWS::Partition>:states:eu-central-1:111111111111:stateMachine:sluice-deploy',
    );
  });
});
