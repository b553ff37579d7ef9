import { PolicyDocument, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { adminTokenSecret, managedTag, webhookSecretSecret } from '../functions/runtime/aws-names.ts';
import type { Arns } from './arns.ts';

/**
 * Who may do what: every permission of the control plane's functions, by hand, in one table. Which action can be held
 * to a resource or a tag is from AWS's Service Authorization Reference:
 * https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
 */
export type Grant = {
  /** `code`: the function's own calls: those of its bundle and no others. `service`: what AWS does in its name. */
  readonly by: 'code' | 'service';
  readonly actions: readonly string[];
  readonly conditions?: Conditions;
} & (
  | { readonly on: readonly string[] }
  /** ARNs with a wildcard in them, or `*` alone, and the reason why it cannot be narrower. */
  | { readonly within: readonly string[]; readonly because: string }
);
type Conditions = Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;

export const functionNames = ['api', 'workflow', 'events', 'reconcile'] as const;
export type FunctionName = (typeof functionNames)[number];

/** What a function may do. */
export function functionGrants(name: FunctionName, arns: Arns): readonly Grant[] {
  return [...callsOf[name](arns), ...ofEveryFunction(name, arns)];
}

const callsOf: Record<FunctionName, (arns: Arns) => readonly Grant[]> = {
  api: (arns) => [
    ...records(arns),
    ...executions(arns),
    ...tokens,
    ...stopsBuilds(arns),
    ...readsBuildLogs(arns),
    ...readsOwnSecrets(arns),
    ...keepsSecrets(arns),
    ...seesServices(arns),
    ...scales(arns),
  ],
  workflow: (arns) => [
    ...records(arns),
    ...executions(arns),
    ...tokens,
    ...stopsBuilds(arns),
    ...findsSecretVersions(arns),
    ...seesServices(arns),
    ...rolls(arns),
  ],
  events: (arns) => [...records(arns), ...executions(arns), ...tokens],
  reconcile: (arns) => [...records(arns), ...executions(arns), ...tokens, ...stopsBuilds(arns)],
};

function records({ table }: Arns): readonly Grant[] {
  return [
    { by: 'code', actions: ['dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:DeleteItem'], on: [table] },
    {
      by: 'code',
      actions: ['dynamodb:Query'],
      within: [table, `${table}/index/*`],
      because: 'The indexes are those of the one table.',
    },
  ];
}

function executions({ stateMachine, executions }: Arns): readonly Grant[] {
  return [
    { by: 'code', actions: ['states:StartExecution'], on: [stateMachine] },
    {
      by: 'code',
      actions: ['states:DescribeExecution', 'states:StopExecution'],
      within: [executions],
      because: 'An execution has the id of its deployment; they are those of the one state machine.',
    },
  ];
}

const tokens: readonly Grant[] = [
  {
    by: 'code',
    actions: ['states:SendTaskSuccess', 'states:SendTaskFailure'],
    within: ['*'],
    because: 'AWS grants these on no resource: who may answer is who holds the token.',
  },
];

function stopsBuilds({ buildProjects }: Arns): readonly Grant[] {
  return [
    {
      by: 'code',
      actions: ['codebuild:ListBuildsForProject', 'codebuild:BatchGetBuilds', 'codebuild:StopBuild'],
      on: buildProjects,
    },
  ];
}

function readsBuildLogs({ buildLogGroups }: Arns): readonly Grant[] {
  return [
    {
      by: 'code',
      actions: ['logs:GetLogEvents'],
      within: buildLogGroups.map((group) => `${group}:log-stream:*`),
      because: 'Every build has a stream of its own in the group of its kind.',
    },
  ];
}

function readsOwnSecrets({ secrets }: Arns): readonly Grant[] {
  return [
    {
      by: 'code',
      actions: ['secretsmanager:GetSecretValue'],
      within: [adminTokenSecret, webhookSecretSecret].map((name) => `${secrets(name)}-??????`),
      because: 'AWS puts six characters of its own behind the name of a secret.',
    },
  ];
}

const ofApps = 'The secrets of apps are under this path, and the control plane has its own elsewhere.';

function keepsSecrets({ secrets }: Arns): readonly Grant[] {
  return [
    {
      by: 'code',
      actions: ['secretsmanager:CreateSecret', 'secretsmanager:PutSecretValue', 'secretsmanager:DeleteSecret'],
      within: [secrets('apps/*')],
      because: ofApps,
    },
    {
      by: 'code',
      actions: ['secretsmanager:ListSecrets'],
      within: ['*'],
      because: 'AWS grants it on no resource; it tells names and no values.',
    },
  ];
}

function findsSecretVersions({ secrets }: Arns): readonly Grant[] {
  return [{ by: 'code', actions: ['secretsmanager:DescribeSecret'], within: [secrets('apps/*')], because: ofApps }];
}

const managed = ({ prefix }: Arns): Conditions => ({ StringEquals: { [`aws:ResourceTag/${managedTag}`]: prefix } });

/** What of ECS and the load balancers is read, by the API for people and by the steps for their decisions. */
function seesServices(arns: Arns): readonly Grant[] {
  return [
    {
      by: 'code',
      actions: ['ecs:DescribeServices', 'ecs:ListServiceDeployments'],
      within: [arns.ecs('service/*')],
      conditions: managed(arns),
      because: 'Services are made by other stacks at any time; the tag says which are ours.',
    },
    {
      by: 'code',
      actions: ['ecs:DescribeServiceDeployments', 'ecs:DescribeServiceRevisions'],
      within: [arns.ecs('service/*'), arns.ecs('service-deployment/*'), arns.ecs('service-revision/*')],
      because: 'Deployments and revisions of services carry no tag; they are read only.',
    },
    {
      by: 'code',
      actions: ['ecs:DescribeTasks'],
      within: [arns.ecs('task/*')],
      because: 'Tasks carry a tag only where their service passes it on; they are read only.',
    },
    {
      by: 'code',
      actions: ['ecs:DescribeTaskDefinition', 'ecs:ListTasks', 'elasticloadbalancing:DescribeTargetHealth'],
      within: ['*'],
      because: 'AWS grants these on no resource of ours; they read only.',
    },
  ];
}

/** Scaling, and retiring, which scales to 0. */
function scales(arns: Arns): readonly Grant[] {
  return [
    {
      by: 'code',
      actions: ['ecs:UpdateService'],
      within: [arns.ecs('service/*')],
      conditions: managed(arns),
      because: 'Services are made by other stacks at any time; the tag says which are ours.',
    },
  ];
}

function rolls(arns: Arns): readonly Grant[] {
  const asked = { StringEquals: { [`aws:RequestTag/${managedTag}`]: arns.prefix } };
  const definitions = 'The family is the one that the service runs already, which its own stack names.';
  return [
    ...scales(arns),
    {
      by: 'code',
      actions: ['ecs:StopServiceDeployment'],
      within: [arns.ecs('service/*')],
      conditions: managed(arns),
      because: 'Services are made by other stacks at any time; the tag says which are ours.',
    },
    {
      by: 'code',
      actions: ['ecs:StopServiceDeployment'],
      within: [arns.ecs('service-deployment/*')],
      because: 'AWS asks for the service as well, which is held to its tag above; a deployment carries none.',
    },
    {
      by: 'code',
      actions: ['ecs:RegisterTaskDefinition'],
      within: [arns.ecs('task-definition/*')],
      conditions: asked,
      because: definitions,
    },
    {
      by: 'service',
      actions: ['ecs:TagResource'],
      within: [arns.ecs('task-definition/*')],
      conditions: { StringEquals: { ...asked.StringEquals, 'ecs:CreateAction': 'RegisterTaskDefinition' } },
      because: definitions,
    },
    {
      by: 'service',
      actions: ['iam:PassRole'],
      within: [arns.taskRoles],
      conditions: { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } },
      because: 'Apps make the roles of their tasks under this path, and no other role is there.',
    },
  ];
}

function ofEveryFunction(name: FunctionName, arns: Arns): readonly Grant[] {
  return [
    {
      by: 'service',
      actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      within: [`${arns.functionLogs(name)}:log-stream:*`],
      because: 'Lambda makes a stream for each of its machines in the group of the function.',
    },
    {
      by: 'service',
      actions: ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'],
      within: ['*'],
      because: 'AWS grants these on no resource; they only write.',
    },
    ...(isQueued(name)
      ? ([{ by: 'service', actions: ['sqs:SendMessage'], on: [arns.deadLetterQueues[name]] }] as const)
      : []),
  ];
}

/** Called by events, which wait for no answer: what fails goes to a queue. */
export const queuedNames = ['events', 'reconcile'] as const satisfies readonly FunctionName[];
export type QueuedName = (typeof queuedNames)[number];
function isQueued(name: FunctionName): name is QueuedName {
  return queuedNames.includes(name as QueuedName);
}

export function policyOf(grants: readonly Grant[]): PolicyDocument {
  return new PolicyDocument({
    statements: grants.map(
      (grant) =>
        new PolicyStatement({
          actions: [...grant.actions],
          resources: [...('on' in grant ? grant.on : grant.within)],
          ...(grant.conditions ? { conditions: { ...grant.conditions } } : {}),
        }),
    ),
  });
}

/**
 * What the state machine may do. `codebuild:startBuild.sync` needs to see the end of a build, by event and by asking:
 * https://docs.aws.amazon.com/step-functions/latest/dg/connect-codebuild.html
 */
export function workflowGrants(arns: Arns): readonly Grant[] {
  return [
    { by: 'service', actions: ['lambda:InvokeFunction'], on: [arns.workflowFunction] },
    {
      by: 'service',
      actions: ['codebuild:StartBuild'],
      on: arns.buildProjects,
      // A build runs the project's own commands and nothing else. https://docs.aws.amazon.com/codebuild/latest/userguide/action-context-keys.html
      conditions: { Null: { 'codebuild:source.buildspec': 'true' } },
    },
    { by: 'service', actions: ['codebuild:StopBuild', 'codebuild:BatchGetBuilds'], on: arns.buildProjects },
    {
      by: 'service',
      actions: ['events:PutTargets', 'events:PutRule', 'events:DescribeRule'],
      on: [arns.buildEndsRule],
    },
    {
      by: 'service',
      actions: ['iam:PassRole'],
      within: [arns.buildRoles],
      conditions: { StringEquals: { 'iam:PassedToService': 'codebuild.amazonaws.com' } },
      because: 'Apps make the roles of their builds under this path, and no other role is there.',
    },
    {
      by: 'service',
      actions: [
        'logs:CreateLogDelivery',
        'logs:GetLogDelivery',
        'logs:UpdateLogDelivery',
        'logs:DeleteLogDelivery',
        'logs:ListLogDeliveries',
        'logs:PutResourcePolicy',
        'logs:DescribeResourcePolicies',
        'logs:DescribeLogGroups',
      ],
      within: ['*'],
      because:
        'AWS grants the delivery of logs on no resource: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html',
    },
    {
      by: 'service',
      actions: [
        'xray:PutTraceSegments',
        'xray:PutTelemetryRecords',
        'xray:GetSamplingRules',
        'xray:GetSamplingTargets',
      ],
      within: ['*'],
      because: 'AWS grants these on no resource: https://docs.aws.amazon.com/step-functions/latest/dg/xray-iam.html',
    },
  ];
}
