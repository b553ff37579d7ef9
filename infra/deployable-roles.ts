import { ArnFormat, Stack } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import type { Construct } from 'constructs';
import {
  blobPrefix,
  imageRepository,
  parameterName,
  secretName,
  taskRolePath,
} from '../functions/runtime/aws-names.ts';
import { acknowledgeGrants } from './acknowledge.ts';
import type { ServiceSettings } from './deployable-props.ts';
import { policyOf, type Grant } from './permissions.ts';

/** Both under the path whose roles the control plane may pass on to tasks, and no others. */
export type TaskRoles = {
  /** What the app itself may do; the stack that makes the service adds to it. */
  readonly task: Role;
  /** What ECS does for the task: it pulls the image, reads the secrets and writes the log. */
  readonly execution: Role;
};

export function taskRoles(scope: Construct, settings: ServiceSettings, logGroupName: string): TaskRoles {
  const stack = Stack.of(scope);
  const subject = `${settings.app} in ${settings.environment} (Sluice)`;
  return {
    task: role(scope, 'TaskRole', {
      prefix: settings.prefix,
      description: `What the tasks of ${subject} may do`,
      grants: settings.runs.kind === 'bundle' ? readsBundles(scope, settings.prefix) : [],
    }),
    execution: role(scope, 'ExecutionRole', {
      prefix: settings.prefix,
      description: `What ECS does for the tasks of ${subject}`,
      grants: [...pullsImages(stack, settings), ...readsSecrets(stack, settings), ...writesLog(stack, logGroupName)],
    }),
  };
}

function role(
  scope: Construct,
  id: string,
  options: { readonly prefix: string; readonly description: string; readonly grants: readonly Grant[] },
): Role {
  const { prefix, description, grants } = options;
  const { account } = Stack.of(scope);
  const anyTask = Stack.of(scope).formatArn({ service: 'ecs', resource: '*', arnFormat: ArnFormat.NO_RESOURCE_NAME });
  const made = new Role(scope, id, {
    path: taskRolePath(prefix),
    description,
    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cross-service-confused-deputy-prevention.html
    assumedBy: new ServicePrincipal('ecs-tasks.amazonaws.com', {
      conditions: { StringEquals: { 'aws:SourceAccount': account }, ArnLike: { 'aws:SourceArn': anyTask } },
    }),
    ...(grants.length > 0 ? { inlinePolicies: { task: policyOf(grants) } } : {}),
  });
  acknowledgeGrants(made, grants);
  return made;
}

function readsBundles(scope: Construct, prefix: string): readonly Grant[] {
  const bucket = StringParameter.valueForStringParameter(scope, parameterName(prefix, 'bucket-name'));
  return [
    {
      by: 'service',
      actions: ['s3:GetObject'],
      within: [
        Stack.of(scope).formatArn({
          service: 's3',
          region: '',
          account: '',
          resource: bucket,
          resourceName: `${blobPrefix}*`,
        }),
      ],
      because:
        'The init container fetches the bundle that a deployment names, by its digest; blobs cannot be listed, so who reads one knows its digest.',
    },
  ];
}

/** https://docs.aws.amazon.com/AmazonECR/latest/userguide/ECR_on_ECS.html */
function pullsImages(stack: Stack, { prefix, app }: ServiceSettings): readonly Grant[] {
  const resourceName = imageRepository(prefix, app);
  return [
    {
      by: 'service',
      actions: ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
      on: [stack.formatArn({ service: 'ecr', resource: 'repository', resourceName })],
    },
    {
      by: 'service',
      actions: ['ecr:GetAuthorizationToken'],
      within: ['*'],
      because: 'AWS grants it on no resource: the token is good for what this role may do.',
    },
  ];
}

function readsSecrets(stack: Stack, { prefix, app }: ServiceSettings): readonly Grant[] {
  return [
    {
      by: 'service',
      actions: ['secretsmanager:GetSecretValue'],
      within: [
        stack.formatArn({
          service: 'secretsmanager',
          resource: 'secret',
          resourceName: `${secretName(prefix, `apps/${app}/secret/`)}*`,
          arnFormat: ArnFormat.COLON_RESOURCE_NAME,
        }),
      ],
      because: 'The app file says which of the app’s own secrets its tasks get; its deploy key is not under this path.',
    },
  ];
}

function writesLog(stack: Stack, logGroupName: string): readonly Grant[] {
  return [
    {
      by: 'service',
      actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      within: [
        stack.formatArn({
          service: 'logs',
          resource: 'log-group',
          resourceName: `${logGroupName}:log-stream:*`,
          arnFormat: ArnFormat.COLON_RESOURCE_NAME,
        }),
      ],
      because: 'Every task makes a stream of its own in the group of the service.',
    },
  ];
}
