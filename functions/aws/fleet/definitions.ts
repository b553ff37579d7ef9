import {
  DescribeTaskDefinitionCommand,
  type DescribeTaskDefinitionCommandInput,
  type ECSClient,
  ListTaskDefinitionsCommand,
  type ListTaskDefinitionsCommandInput,
  RegisterTaskDefinitionCommand,
  type RegisterTaskDefinitionCommandInput,
} from '@aws-sdk/client-ecs';
import { baseTag, rolloutTag, templateTag } from '../../runtime/aws-names.ts';
import { answered } from '../client.ts';
import { tagOf } from './service.ts';
import type { Described } from './task-definition.ts';
import { orRefused } from './update-service.ts';

/** So many revisions are looked through for one whose answer was lost: it is among the newest of its family. */
const maxLookedThrough = 5;

export function describeDefinitionInput(taskDefinition: string): DescribeTaskDefinitionCommandInput {
  return { taskDefinition, include: ['TAGS'] };
}

export async function describeDefinition(ecs: ECSClient, taskDefinition: string): Promise<Described> {
  const call = ecs.send(new DescribeTaskDefinitionCommand(describeDefinitionInput(taskDefinition)));
  return await orRefused(`to describe ${taskDefinition}`, answered('ECS', call));
}

/**
 * The definition that the app's stack made and on which the next is built: the newest of the template family, where the
 * stack keeps one; else this one, or that of which it is a copy. A family's name stands for its newest active revision.
 * Pure.
 */
export function baseOf({ taskDefinition, tags }: Described): string {
  const template = tagOf(tags, templateTag);
  if (template !== undefined) return template;
  const revision = tagOf(tags, baseTag);
  const arn = taskDefinition?.taskDefinitionArn ?? '';
  return revision === undefined ? arn : arn.replace(/:\d+$/, `:${revision}`);
}

/**
 * Registers a definition; answers with its ARN. The call has no token that would make it safe to repeat: when its
 * answer is lost and the SDK repeats it, one revision more is registered that nothing ever runs.
 */
export async function registerDefinition(ecs: ECSClient, input: RegisterTaskDefinitionCommandInput): Promise<string> {
  const call = answered('ECS', ecs.send(new RegisterTaskDefinitionCommand(input)));
  const { taskDefinition } = await orRefused('the task definition', call);
  if (taskDefinition?.taskDefinitionArn === undefined)
    throw new Error('ECS registered a task definition without an ARN');
  return taskDefinition.taskDefinitionArn;
}

export function newestDefinitionsInput(family: string): ListTaskDefinitionsCommandInput {
  return { familyPrefix: family, sort: 'DESC', maxResults: maxLookedThrough };
}

/** The definition that a rollout registered without anybody having written it down; undefined when there is none. */
export async function findDefinition(ecs: ECSClient, family: string, rolloutId: string): Promise<string | undefined> {
  const list = ecs.send(new ListTaskDefinitionsCommand(newestDefinitionsInput(family)));
  const { taskDefinitionArns = [] } = await answered('ECS', list);
  const described = await Promise.all(taskDefinitionArns.map((arn) => describeDefinition(ecs, arn)));
  const found = described.find(({ tags }) => tagOf(tags, rolloutTag) === rolloutId);
  return found?.taskDefinition?.taskDefinitionArn;
}
