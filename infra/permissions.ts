import { PolicyDocument, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { adminTokenSecret, webhookSecretSecret } from '../functions/runtime/aws-names.ts';
import type { Arns } from './arns.ts';
import { discardsImages, keepsObjects, takesObjects } from './object-permissions.ts';
import { changesServices, readsServiceLogs, readsTaskDefinitions, rolls, seesServices } from './service-permissions.ts';

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
export type Conditions = Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;

export const functionNames = ['api', 'workflow', 'events', 'reconcile'] as const;
export type FunctionName = (typeof functionNames)[number];

/** What a function may do. */
export function functionGrants(name: FunctionName, arns: Arns): readonly Grant[] {
  return [...callsOf[name](arns), ...ofEveryFunction(name, arns)];
}

const callsOf: Record<FunctionName, (arns: Arns) => readonly Grant[]> = {
  api: (arns) => [
    ...records(arns),
    ...startsExecutions(arns),
    ...startsJobs(arns),
    ...takesObjects(arns),
    ...answersTokens('states:SendTaskSuccess', 'states:SendTaskFailure'),
    ...stopsBuilds(arns),
    ...readsBuildLogs(arns),
    ...readsOwnSecrets(arns),
    ...findsSecretVersions(arns),
    ...writesSecrets(arns),
    ...removesSecrets(arns),
    ...seesServices(arns),
    ...readsServiceLogs(arns),
    ...readsTaskDefinitions,
    ...changesServices(arns),
    ...asksWhetherReady(arns),
  ],
  workflow: (arns) => [
    ...records(arns),
    ...startsExecutions(arns),
    ...answersTokens('states:SendTaskSuccess', 'states:SendTaskFailure'),
    ...startsJobs(arns),
    ...keepsObjects(arns),
    ...discardsImages(arns),
    ...stopsBuilds(arns),
    ...findsSecretVersions(arns),
    ...readsHookSecrets(arns),
    ...seesServices(arns),
    ...readsTaskDefinitions,
    ...changesServices(arns),
    ...rolls(arns),
  ],
  events: (arns) => [...records(arns), ...startsExecutions(arns), ...answersTokens('states:SendTaskSuccess')],
  reconcile: (arns) => [
    ...records(arns),
    ...startsExecutions(arns),
    ...startsJobs(arns),
    ...stopsExecutions(arns),
    ...answersTokens('states:SendTaskSuccess', 'states:SendTaskFailure'),
    ...stopsBuilds(arns),
    ...removesSecrets(arns),
    ...seesServices(arns),
    ...changesServices(arns),
  ],
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

const ofDeployments = 'An execution has the id of its deployment; they are those of the one state machine.';

/** Starting looks first whether the deployment runs already. */
function startsExecutions({ stateMachine, executions }: Arns): readonly Grant[] {
  return [
    { by: 'code', actions: ['states:StartExecution'], on: [stateMachine] },
    { by: 'code', actions: ['states:DescribeExecution'], within: [executions], because: ofDeployments },
  ];
}

function startsJobs({ jobMachine, jobExecutions }: Arns): readonly Grant[] {
  const because = 'An execution has the id of its job; they are those of the one state machine.';
  return [
    { by: 'code', actions: ['states:StartExecution'], on: [jobMachine] },
    { by: 'code', actions: ['states:DescribeExecution'], within: [jobExecutions], because },
  ];
}

function stopsExecutions({ executions }: Arns): readonly Grant[] {
  return [{ by: 'code', actions: ['states:StopExecution'], within: [executions], because: ofDeployments }];
}

function answersTokens(...actions: readonly string[]): readonly Grant[] {
  const because = 'AWS grants it on no resource: who may answer is who holds the token.';
  return [{ by: 'code', actions, within: ['*'], because }];
}

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

function readsHookSecrets({ secrets }: Arns): readonly Grant[] {
  return [
    {
      by: 'code',
      actions: ['secretsmanager:GetSecretValue'],
      within: [secrets('apps/*/secret/*')],
      because: 'An app names the secret of its own by which its hooks are signed; deploy keys are not under this path.',
    },
  ];
}

const ofApps = 'The secrets of apps are under this path, and the control plane has its own elsewhere.';

function findsSecretVersions({ secrets }: Arns): readonly Grant[] {
  return [{ by: 'code', actions: ['secretsmanager:DescribeSecret'], within: [secrets('apps/*')], because: ofApps }];
}

function writesSecrets({ secrets }: Arns): readonly Grant[] {
  return [
    {
      by: 'code',
      actions: ['secretsmanager:CreateSecret', 'secretsmanager:PutSecretValue'],
      within: [secrets('apps/*')],
      because: ofApps,
    },
  ];
}

function removesSecrets({ secrets }: Arns): readonly Grant[] {
  return [
    { by: 'code', actions: ['secretsmanager:DeleteSecret'], within: [secrets('apps/*')], because: ofApps },
    {
      by: 'code',
      actions: ['secretsmanager:ListSecrets'],
      within: ['*'],
      because: 'AWS grants it on no resource; it tells names and no values.',
    },
  ];
}

/** What `GET /ready` asks of each service: by one call that changes nothing. */
function asksWhetherReady(arns: Arns): readonly Grant[] {
  return [
    { by: 'code', actions: ['states:DescribeStateMachine'], on: [arns.stateMachine] },
    { by: 'code', actions: ['codebuild:BatchGetProjects'], on: arns.buildProjects },
    {
      by: 'code',
      actions: ['ecs:ListClusters'],
      within: ['*'],
      because: 'AWS grants it on no resource; it tells names only.',
    },
  ];
}

const writesTraces: readonly Grant[] = [
  {
    by: 'service',
    actions: ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'],
    within: ['*'],
    because: 'AWS grants these on no resource; they only write.',
  },
];

function ofEveryFunction(name: FunctionName, arns: Arns): readonly Grant[] {
  return [
    {
      by: 'service',
      actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      within: [`${arns.functionLogs(name)}:log-stream:*`],
      because: 'Lambda makes a stream for each of its machines in the group of the function.',
    },
    ...(name === 'reconcile' ? [] : writesTraces),
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
