import { describe, expect, it } from 'vitest';
import { App, Stack } from 'aws-cdk-lib';
import { arnsOf } from '../../infra/arns.ts';
import { buildGrants } from '../../infra/build-permissions.ts';
import { functionGrants, functionNames, type Grant } from '../../infra/permissions.ts';
import { workflowGrants } from '../../infra/workflow-permissions.ts';
import { flat, listOf, resourceOf, resourcesOf, statementsOf, templateOf, type Statement } from './stand-in.ts';
import { buildKinds } from '../../functions/runtime/aws-names.ts';

const stack = new Stack(new App(), 'Names', { env: { account: '111111111111', region: 'eu-central-1' } });
const [table, bucket] = ['arn:aws:dynamodb:eu-central-1:111111111111:table/records', 'arn:aws:s3:::artifacts'];
const arns = arnsOf(stack, { prefix: 'sluice', table, bucket });
const tables: Readonly<Record<string, readonly Grant[]>> = {
  ...Object.fromEntries(functionNames.map((name) => [name, functionGrants(name, arns)])),
  'the state machine': workflowGrants('deploy', arns),
  'the state machine of jobs': workflowGrants('job', arns),
  'every build': buildGrants(arns, 'arn:aws:s3:::assets'),
};
const everything = Object.entries(tables).flatMap(([who, grants]) => grants.map((grant) => ({ who, grant })));

/** What somebody may do, with where and when, as text to be read. */
function told(who: string, action: string): readonly string[] {
  return (tables[who] ?? [])
    .filter(({ actions }) => actions.includes(action))
    .flatMap((grant) => {
      const when = grant.conditions ? ` when ${JSON.stringify(grant.conditions)}` : '';
      const resources = stack.resolve('on' in grant ? grant.on : grant.within) as readonly unknown[];
      return resources.map((resource) => flat(resource) + when);
    });
}
const ecs = (resource: string) => `arn:<AWS::Partition>:ecs:eu-central-1:111111111111:${resource}`;
const managed = ' when {"StringEquals":{"aws:ResourceTag/sluice:managed":"sluice"}}';

describe('the table of permissions', () => {
  it.each(everything)('gives $who $grant.actions by their names only', ({ grant }) => {
    for (const action of grant.actions) expect(action).toMatch(/^[a-z0-9-]+:[A-Z]\w+$/);
  });

  it.each(everything)('gives $who $grant.actions on one thing, or says why not', ({ grant }) => {
    if ('on' in grant) {
      for (const resource of stack.resolve(grant.on) as unknown[]) expect(flat(resource)).not.toMatch(/[*?]/);
    } else {
      expect(grant.because).toMatch(/^[A-Z].{20,}[.a-z]$/);
      expect((stack.resolve(grant.within) as unknown[]).some((resource) => /[*?]/.test(flat(resource)))).toBe(true);
    }
  });

  it('gives everything on everything only where AWS knows no narrower', () => {
    const wide = everything.flatMap(({ grant }) =>
      'within' in grant && grant.within.includes('*') ? grant.actions : [],
    );
    expect([...new Set(wide)].sort()).toEqual([
      'ecs:DescribeTaskDefinition',
      'ecs:ListClusters',
      'ecs:ListTaskDefinitions',
      'ecs:ListTasks',
      'elasticloadbalancing:DescribeTargetHealth',
      'logs:CreateLogDelivery',
      'logs:DeleteLogDelivery',
      'logs:DescribeLogGroups',
      'logs:DescribeResourcePolicies',
      'logs:GetLogDelivery',
      'logs:ListLogDeliveries',
      'logs:PutResourcePolicy',
      'logs:UpdateLogDelivery',
      'secretsmanager:ListSecrets',
      'states:SendTaskFailure',
      'states:SendTaskSuccess',
      'xray:GetSamplingRules',
      'xray:GetSamplingTargets',
      'xray:PutTelemetryRecords',
      'xray:PutTraceSegments',
    ]);
  });
});

describe('who may', () => {
  const whoMay = (action: string) => Object.keys(tables).filter((who) => told(who, action).length > 0);

  it('read a secret: the API its own two, the steps those by which hooks are signed, and nobody a deploy key', () => {
    expect(whoMay('secretsmanager:GetSecretValue')).toEqual(['api', 'workflow']);
    expect(told('workflow', 'secretsmanager:GetSecretValue')).toEqual([
      'arn:<AWS::Partition>:secretsmanager:eu-central-1:111111111111:secret:sluice/apps/*/secret/*',
    ]);
    expect(told('api', 'secretsmanager:GetSecretValue')).toEqual(
      ['admin-token', 'webhook-secret'].map(
        (name) => `arn:<AWS::Partition>:secretsmanager:eu-central-1:111111111111:secret:sluice/control/${name}-??????`,
      ),
    );
  });

  it('write a secret: the API those of apps, and not its own', () => {
    expect(whoMay('secretsmanager:CreateSecret')).toEqual(['api']);
    expect(whoMay('secretsmanager:PutSecretValue')).toEqual(['api']);
    expect(whoMay('secretsmanager:DeleteSecret')).toEqual(['api', 'reconcile']);
    const ofApps = ['arn:<AWS::Partition>:secretsmanager:eu-central-1:111111111111:secret:sluice/apps/*'];
    expect(told('api', 'secretsmanager:PutSecretValue')).toEqual(ofApps);
    expect(told('reconcile', 'secretsmanager:DeleteSecret')).toEqual(ofApps);
  });

  it('change a service: the API, the steps and reconcile, where it carries our tag', () => {
    expect(whoMay('ecs:UpdateService')).toEqual(['api', 'workflow', 'reconcile']);
    for (const who of whoMay('ecs:UpdateService'))
      expect(told(who, 'ecs:UpdateService')).toEqual([ecs('service/*') + managed]);
    expect(whoMay('ecs:StopServiceDeployment')).toEqual(['workflow']);
    expect(told('workflow', 'ecs:StopServiceDeployment')).toContain(ecs('service/*') + managed);
  });

  it('make a task definition: the steps, with our tag on it', () => {
    expect(whoMay('ecs:RegisterTaskDefinition')).toEqual(['workflow']);
    expect(told('workflow', 'ecs:RegisterTaskDefinition')).toEqual([
      `${ecs('task-definition/*')} when {"StringEquals":{"aws:RequestTag/sluice:managed":"sluice"}}`,
    ]);
    expect(told('workflow', 'ecs:TagResource')).toEqual([
      `${ecs('task-definition/*')} when {"StringEquals":{"aws:RequestTag/sluice:managed":"sluice","ecs:CreateAction":"RegisterTaskDefinition"}}`,
    ]);
  });

  it('pass a role: the steps those of tasks to tasks, the state machines those of builds to builds', () => {
    expect(whoMay('iam:PassRole')).toEqual(['workflow', 'the state machine', 'the state machine of jobs']);
    expect(told('workflow', 'iam:PassRole')).toEqual([
      'arn:<AWS::Partition>:iam::111111111111:role/sluice/task/* when {"StringEquals":{"iam:PassedToService":"ecs-tasks.amazonaws.com"}}',
    ]);
    for (const machine of ['the state machine', 'the state machine of jobs'])
      expect(told(machine, 'iam:PassRole')).toEqual([
        'arn:<AWS::Partition>:iam::111111111111:role/sluice/build/* when {"StringEquals":{"iam:PassedToService":"codebuild.amazonaws.com"}}',
      ]);
  });

  it('start a build: the state machines, each its own kinds, with the commands of its project and no others', () => {
    expect(whoMay('codebuild:StartBuild')).toEqual(['the state machine', 'the state machine of jobs']);
    const checks = told('the state machine of jobs', 'codebuild:StartBuild');
    expect(checks).toHaveLength(1);
    expect(checks[0]).toContain(':project/sluice-build-check when');
    const started = [...told('the state machine', 'codebuild:StartBuild'), ...checks];
    expect(new Set(started).size).toBe(buildKinds.length);
    for (const one of started) {
      expect(one).toMatch(/:project\/sluice-build-\w+ when \{"Null":\{"codebuild:source\.buildspec":"true"\}\}$/);
    }
  });

  it('read and store a blob: the API and the steps, where blobs and uploads are and nowhere else', () => {
    expect(whoMay('s3:GetObject')).toEqual(['api', 'workflow', 'every build']);
    expect(told('every build', 's3:GetObject')).toEqual(['arn:aws:s3:::assets/sluice-control-plane/*']);
    expect(whoMay('s3:PutObject')).toEqual(['api', 'workflow']);
    const places = ['arn:aws:s3:::artifacts/blobs/sha256/*', 'arn:aws:s3:::artifacts/uploads/*'];
    for (const who of ['api', 'workflow'])
      for (const action of ['s3:GetObject', 's3:PutObject']) expect(told(who, action)).toEqual(places);
  });

  it('remove a blob: the steps, which prune; the API only what was uploaded and is none yet', () => {
    expect(whoMay('s3:DeleteObject')).toEqual(['api', 'workflow']);
    expect(told('api', 's3:DeleteObject')).toEqual(['arn:aws:s3:::artifacts/uploads/*']);
    expect(told('workflow', 's3:DeleteObject')).toContain('arn:aws:s3:::artifacts/blobs/sha256/*');
    expect(whoMay('ecr:BatchDeleteImage')).toEqual(['workflow']);
    expect(told('workflow', 'ecr:BatchDeleteImage')).toEqual([
      'arn:<AWS::Partition>:ecr:eu-central-1:111111111111:repository/sluice/*',
    ]);
  });

  it('start a job: whoever asks for one or goes on with one, and stop none', () => {
    const machine = 'arn:<AWS::Partition>:states:eu-central-1:111111111111:stateMachine:sluice-jobs';
    const starting = functionNames.filter((name) => told(name, 'states:StartExecution').includes(machine));
    expect(starting).toEqual(['api', 'workflow', 'reconcile']);
    expect(told('reconcile', 'states:StopExecution').join()).not.toContain('sluice-jobs');
  });

  it('read what a service logs: the API, under the path of tasks', () => {
    expect(told('api', 'logs:FilterLogEvents')).toEqual([
      `arn:<AWS::Partition>:logs:eu-central-1:111111111111:log-group:/sluice/task/*`,
    ]);
  });
});

describe('the roles of the template', () => {
  const template = templateOf({ account: '111111111111', region: 'eu-central-1' });
  const role = (start: string) => resourceOf(template, 'AWS::IAM::Role', start);
  const text = ({ Action, Condition }: Statement) => JSON.stringify([[...listOf(Action)], Condition]);

  it.each(functionNames)('let %s do what the table says, and have no other policy', (name) => {
    const granted = functionGrants(name, arns);
    expect(statementsOf(role(`Functions${name}Role`)).map(text)).toEqual(
      granted.map(({ actions, conditions }) => JSON.stringify([[...actions], conditions])),
    );
    expect(role(`Functions${name}Role`).Properties['ManagedPolicyArns']).toBeUndefined();
  });

  it.each([
    ['deploy', 'DeployRole'],
    ['job', 'JobsRole'],
  ] as const)('let the state machine %s do what the table says', (machine, start) => {
    expect(statementsOf(role(start)).map(text)).toEqual(
      workflowGrants(machine, arns).map(({ actions, conditions }) => JSON.stringify([[...actions], conditions])),
    );
  });

  it('let a build without its app write its log, and no more', () => {
    expect(statementsOf(role('BuildsIdleRole')).flatMap(({ Action }) => listOf(Action))).toEqual([
      'logs:CreateLogStream',
      'logs:PutLogEvents',
    ]);
  });

  it('are used by one service each, in this account, and no policy is added elsewhere', () => {
    const trusted = resourcesOf(template, 'AWS::IAM::Role').map(([, { Properties }]) => {
      const { Statement } = Properties['AssumeRolePolicyDocument'] as {
        Statement: { Principal: { Service: string }; Condition?: unknown }[];
      };
      expect(Statement).toHaveLength(1);
      return String(Statement[0]?.Principal.Service);
    });
    expect(trusted.sort()).toEqual([
      'codebuild.amazonaws.com',
      'lambda.amazonaws.com',
      'lambda.amazonaws.com',
      'lambda.amazonaws.com',
      'lambda.amazonaws.com',
      'states.amazonaws.com',
      'states.amazonaws.com',
    ]);
    template.resourceCountIs('AWS::IAM::Policy', 0);
    template.resourceCountIs('AWS::IAM::ManagedPolicy', 1);
  });

  /** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: without blanks. */
  it('fit into what IAM takes', () => {
    for (const [, { Properties }] of resourcesOf(template, 'AWS::IAM::Role')) {
      const policies = (Properties['Policies'] ?? []) as { PolicyDocument: object }[];
      const characters = policies.map(({ PolicyDocument }) => flatten(PolicyDocument).length);
      expect(characters.reduce((sum, count) => sum + count, 0)).toBeLessThan(10_240);
    }
    const { PolicyDocument } = resourceOf(template, 'AWS::IAM::ManagedPolicy').Properties;
    expect(flatten(PolicyDocument).length).toBeLessThan(6144);
  });

  it('let builds in a network make their interface there and nowhere else', () => {
    const inside = templateOf({ builds: { vpc: { id: 'vpc-0a1b2c3d', subnetIds: ['subnet-0a1b2c3d'] } } });
    const { Statement } = resourceOf(inside, 'AWS::IAM::ManagedPolicy').Properties['PolicyDocument'] as {
      Statement: Statement[];
    };
    const permission = Statement.find(({ Action }) => Action === 'ec2:CreateNetworkInterfacePermission');
    expect(permission?.Condition?.['StringEquals']).toEqual({ 'ec2:AuthorizedService': 'codebuild.amazonaws.com' });
    expect(listOf(permission?.Condition?.['ArnEquals']?.['ec2:Subnet']).map(flat)).toEqual([
      'arn:<AWS::Partition>:ec2:<AWS::Region>:<AWS::AccountId>:subnet/subnet-0a1b2c3d',
    ]);
  });
});

/** As IAM counts it, with what only AWS knows about as long as it will be. */
function flatten(document: unknown): string {
  return JSON.stringify(document, (_key, value: unknown) =>
    value !== null && typeof value === 'object' && ('Fn::Join' in value || 'Ref' in value || 'Fn::GetAtt' in value)
      ? flat(value)
      : value,
  );
}
