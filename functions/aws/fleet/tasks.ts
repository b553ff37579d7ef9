import {
  DescribeTasksCommand,
  type DesiredStatus,
  type ECSClient,
  ListTasksCommand,
  type ListTasksCommandInput,
  type Task,
} from '@aws-sdk/client-ecs';
import {
  DescribeTargetHealthCommand,
  type ElasticLoadBalancingV2Client,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { answered, isNamed } from '../client.ts';
import type { ServiceName } from './service.ts';
import type { GroupHealth } from './task-state.ts';

/** So many pages of 100 tasks are read; a target has at most 1000 tasks, and a stopped one is shown for an hour. */
const maxPages = { RUNNING: 20, PENDING: 20, STOPPED: 3 } as const;

export function listTasksInput(
  { cluster, service }: ServiceName,
  desiredStatus: DesiredStatus,
  nextToken?: string,
): ListTasksCommandInput {
  return { cluster, serviceName: service, desiredStatus, maxResults: 100, ...(nextToken && { nextToken }) };
}

/**
 * The tasks of a service: those that are wanted, those that are going and those that stopped within the last hour.
 * Two calls and one more for each hundred tasks.
 */
export async function listTasks(ecs: ECSClient, name: ServiceName): Promise<readonly Task[]> {
  const lists = await Promise.all([listArns(ecs, name, 'RUNNING'), listArns(ecs, name, 'STOPPED')]);
  const arns = [...new Set(lists.flat())];
  const chunks = Array.from({ length: Math.ceil(arns.length / 100) }, (_, at) => arns.slice(at * 100, at * 100 + 100));
  const described = await Promise.all(
    chunks.map((tasks) => answered('ECS', ecs.send(new DescribeTasksCommand({ cluster: name.cluster, tasks })))),
  );
  return described.flatMap(({ tasks }) => tasks ?? []);
}

async function listArns(ecs: ECSClient, name: ServiceName, desiredStatus: DesiredStatus): Promise<readonly string[]> {
  const arns: string[] = [];
  let token: string | undefined;
  for (let page = 0; page < maxPages[desiredStatus]; page += 1) {
    const input = listTasksInput(name, desiredStatus, token);
    const { taskArns, nextToken } = await answered('ECS', ecs.send(new ListTasksCommand(input)));
    arns.push(...(taskArns ?? []));
    token = nextToken;
    if (token === undefined) break;
  }
  return arns;
}

/** One call for each target group; one that is deleted holds nothing. */
export async function targetHealth(
  loadBalancing: ElasticLoadBalancingV2Client,
  targetGroups: readonly string[],
): Promise<readonly GroupHealth[]> {
  return await Promise.all(
    targetGroups.map(async (targetGroup) => {
      const call = loadBalancing.send(new DescribeTargetHealthCommand({ TargetGroupArn: targetGroup }));
      const answer = await answered('Elastic Load Balancing', call).catch((error: unknown) => {
        if (isNamed(error, 'TargetGroupNotFoundException')) return { TargetHealthDescriptions: [] };
        throw error;
      });
      const targets = (answer.TargetHealthDescriptions ?? []).map(({ Target, TargetHealth }) => ({
        id: Target?.Id ?? '',
        state: TargetHealth?.State ?? 'initial',
      }));
      return { targetGroup, targets };
    }),
  );
}
