import { managedTag } from '../functions/runtime/aws-names.ts';
import type { Arns } from './arns.ts';
import type { Conditions, Grant } from './permissions.ts';

/** By which a service, and what belongs to it, says that this installation may touch it. */
const managed = ({ prefix }: Arns): Conditions => ({ StringEquals: { [`aws:ResourceTag/${managedTag}`]: prefix } });
const ofServices = 'Services are made by other stacks at any time; the tag says which are ours.';

/** What of ECS and the load balancers is read, for people and for the decisions of the steps. */
export function seesServices(arns: Arns): readonly Grant[] {
  return [
    {
      by: 'code',
      actions: ['ecs:DescribeServices'],
      within: [arns.ecs('service/*')],
      conditions: managed(arns),
      because: ofServices,
    },
    {
      by: 'code',
      actions: ['ecs:DescribeServiceDeployments'],
      within: [arns.ecs('service/*'), arns.ecs('service-deployment/*')],
      because: 'Deployments of services have no tags to be held to; they are read only.',
    },
    {
      by: 'code',
      actions: ['ecs:DescribeTasks'],
      within: [arns.ecs('task/*')],
      because: 'Tasks carry a tag only where their service passes it on; they are read only.',
    },
    {
      by: 'code',
      actions: ['ecs:ListTasks', 'elasticloadbalancing:DescribeTargetHealth'],
      within: ['*'],
      because: 'AWS grants these on no resource of ours; they read only.',
    },
    {
      by: 'service',
      actions: ['ecs:ListTagsForResource'],
      within: [arns.ecs('service/*'), arns.ecs('task-definition/*')],
      because: 'AWS does not say whether describing with tags asks for it; it reads tags only.',
    },
  ];
}

export const readsTaskDefinitions: readonly Grant[] = [
  {
    by: 'code',
    actions: ['ecs:DescribeTaskDefinition'],
    within: ['*'],
    because: 'AWS grants it on no resource; a definition holds the names of secrets and no values.',
  },
];

/** Groups that `DeployableService` makes; what logs elsewhere is read where it logs. */
export function readsServiceLogs(arns: Arns): readonly Grant[] {
  return [
    {
      by: 'code',
      actions: ['logs:FilterLogEvents'],
      within: [arns.logGroup(`/${arns.prefix}/task/*`)],
      because: 'Services are made by other stacks at any time; their logs are under this path.',
    },
  ];
}

/** Rolling, scaling, and retiring, which scales to 0. */
export function changesServices(arns: Arns): readonly Grant[] {
  return [
    {
      by: 'code',
      actions: ['ecs:UpdateService'],
      within: [arns.ecs('service/*')],
      conditions: managed(arns),
      because: ofServices,
    },
  ];
}

export function rolls(arns: Arns): readonly Grant[] {
  const asked = { [`aws:RequestTag/${managedTag}`]: arns.prefix };
  const definitions = 'The family is the one that the service runs, which its own stack names.';
  return [
    {
      by: 'code',
      actions: ['ecs:ListServiceDeployments', 'ecs:StopServiceDeployment'],
      within: [arns.ecs('service/*')],
      conditions: managed(arns),
      because: ofServices,
    },
    {
      by: 'code',
      actions: ['ecs:StopServiceDeployment'],
      within: [arns.ecs('service-deployment/*')],
      because: 'AWS asks for the service as well, which is held to its tag above; its deployments have none.',
    },
    {
      by: 'code',
      actions: ['ecs:DescribeServiceRevisions'],
      within: [arns.ecs('service/*'), arns.ecs('service-revision/*')],
      because: 'Revisions of services have no tags to be held to; they are read only.',
    },
    {
      by: 'code',
      actions: ['ecs:ListTaskDefinitions'],
      within: ['*'],
      because: 'AWS grants it on no resource; it tells names only.',
    },
    {
      by: 'code',
      actions: ['ecs:RegisterTaskDefinition'],
      within: [arns.ecs('task-definition/*')],
      conditions: { StringEquals: asked },
      because: definitions,
    },
    {
      by: 'service',
      actions: ['ecs:TagResource'],
      within: [arns.ecs('task-definition/*')],
      conditions: { StringEquals: { ...asked, 'ecs:CreateAction': 'RegisterTaskDefinition' } },
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
