import { ArnFormat, type Stack } from 'aws-cdk-lib';
import type { BuildKind } from '../functions/ports/builder.ts';
import {
  blobPrefix,
  buildKinds,
  buildLogGroup,
  buildProjectName,
  buildRoleName,
  buildRolePath,
  imageRepository,
  jobMachineName,
  secretName,
  stateMachineName,
  taskRolePath,
  uploadPrefix,
} from '../functions/runtime/aws-names.ts';
import { functionLogGroup, functionName, liveAlias, queueName } from './names.ts';
import type { FunctionName, QueuedName } from './permissions.ts';
import type { MachineName } from './state-machine.ts';

/** Which state machine starts it: checks are jobs, everything else is built for a deployment. */
const machineOf = (kind: BuildKind): MachineName => (kind === 'check' ? 'job' : 'deploy');

/**
 * The ARNs by which permissions are given. All but the table's and the bucket's are put together from names, so that a role waits for
 * nothing and nothing waits in a circle.
 */
export type Arns = ReturnType<typeof arnsOf>;

export function arnsOf(
  stack: Stack,
  { prefix, table, bucket }: { readonly prefix: string; readonly table: string; readonly bucket: string },
) {
  const arn = (service: string, resource: string) =>
    stack.formatArn({ service, resource, arnFormat: ArnFormat.NO_RESOURCE_NAME });
  const role = (path: string) => stack.formatArn({ service: 'iam', region: '', resource: 'role', resourceName: path });
  const queue = (name: QueuedName) => arn('sqs', queueName(prefix, name));
  const logGroup = (name: string) => arn('logs', `log-group:${name}`);
  const machine = stateMachineName(prefix);
  const jobs = jobMachineName(prefix);
  const project = (kind: BuildKind) => arn('codebuild', `project/${buildProjectName(prefix, kind)}`);
  return {
    prefix,
    table,
    bucket,
    blobs: `${bucket}/${blobPrefix}*`,
    uploads: `${bucket}/${uploadPrefix}*`,
    /** Those of every app's images. */
    repositories: arn('ecr', `repository/${imageRepository(prefix, '*')}`),
    logGroup,
    stateMachine: arn('states', `stateMachine:${machine}`),
    executions: arn('states', `execution:${machine}:*`),
    jobMachine: arn('states', `stateMachine:${jobs}`),
    jobExecutions: arn('states', `execution:${jobs}:*`),
    /** By which events AWS tells Step Functions that a build has ended; one rule for all state machines of an account. `Event`, not `Events`: https://docs.aws.amazon.com/step-functions/latest/dg/connect-codebuild.html */
    buildEndsRule: arn('events', 'rule/StepFunctionsGetEventForCodeBuildStartBuildRule'),
    workflowFunction: arn('lambda', `function:${functionName(prefix, 'workflow')}:${liveAlias}`),
    functionLogs: (name: FunctionName) => logGroup(functionLogGroup(prefix, name)),
    secrets: (path: string) => arn('secretsmanager', `secret:${secretName(prefix, path)}`),
    buildProjects: buildKinds.map(project),
    /** The projects whose builds a state machine starts. */
    buildsOf: (machine: MachineName) => buildKinds.filter((kind) => machineOf(kind) === machine).map(project),
    buildLogGroups: buildKinds.map((kind) => logGroup(buildLogGroup(prefix, kind))),
    buildRoles: role(`${buildRolePath(prefix).slice(1)}*`),
    /** What the definition puts an app's id behind. */
    buildRolePrefix: role(`${buildRolePath(prefix).slice(1)}${buildRoleName(prefix, '')}`),
    taskRoles: role(`${taskRolePath(prefix).slice(1)}*`),
    ecs: (resource: string) => arn('ecs', resource),
    deadLetterQueues: { events: queue('events'), reconcile: queue('reconcile') },
  };
}
