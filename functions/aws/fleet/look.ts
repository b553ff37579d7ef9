import type { Deployment, ECSClient, Service, ServiceDeployment, Task } from '@aws-sdk/client-ecs';
import type { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { RolloutCounts } from '../../ports/fleet.ts';
import { hasFailed } from './failures.ts';
import { describeDeployment } from './find-deployment.ts';
import { findService, targetGroupsOf, type ServiceName } from './service.ts';
import { isDraining, taskState, type GroupHealth } from './task-state.ts';
import { listTasks, targetHealth } from './tasks.ts';

/** What AWS says of a service at one look. */
export type Seen = {
  /** Undefined when the service is deleted. */
  readonly service: Service | undefined;
  /** The rollout's service deployment, as far as it is known. */
  readonly deployment: ServiceDeployment | undefined;
  readonly tasks: readonly Task[];
  readonly health: readonly GroupHealth[];
};

export type LookFrom = { readonly ecs: ECSClient; readonly loadBalancing: ElasticLoadBalancingV2Client };

/**
 * Five calls (the service, its deployment, two lists of tasks, and what they are), one for each target group, and one
 * more for each hundred tasks beyond the first.
 */
export async function look(from: LookFrom, name: ServiceName, deploymentArn: string | undefined): Promise<Seen> {
  const [service, deployment] = await Promise.all([
    findService(from.ecs, name),
    deploymentArn === undefined ? undefined : describeDeployment(from.ecs, deploymentArn),
  ]);
  if (!service) return { service: undefined, deployment, tasks: [], health: [] };
  const [tasks, health] = await Promise.all([
    listTasks(from.ecs, name),
    targetHealth(from.loadBalancing, targetGroupsOf(service)),
  ]);
  return { service, deployment, tasks, health };
}

/** The tasks of a service as a rollout of this task definition counts them. Pure. */
export function countTasks(seen: Seen, taskDefinition: string | undefined): RolloutCounts {
  const states = seen.tasks.map((task) => ({
    isNew: task.taskDefinitionArn === taskDefinition,
    state: taskState(task, seen.health),
  }));
  const count = (is: (entry: (typeof states)[number]) => boolean) => states.filter(is).length;
  const leaving = count(({ state }) => state === 'draining' || state === 'stopping');
  return {
    desired: seen.service?.desiredCount ?? 0,
    newServing: count(({ isNew, state }) => isNew && state === 'serving'),
    newStarting: count(({ isNew, state }) => isNew && (state === 'starting' || state === 'failed')),
    oldServing: count(({ isNew, state }) => !isNew && state === 'serving'),
    // A target drains for a moment longer or shorter than its task is shown to; both count.
    draining: Math.max(leaving, drainingTargets(seen)),
    failed: failedTasks(seen, taskDefinition),
  };
}

function drainingTargets({ health }: Seen): number {
  return Math.max(0, ...health.map(({ targets }) => targets.filter(({ state }) => isDraining(state)).length));
}

function failedTasks({ service, deployment, tasks }: Seen, taskDefinition: string | undefined): number {
  const ofDeployment = (service?.deployments ?? []).find((entry) => entry.taskDefinition === taskDefinition);
  const shown = tasks.filter((task) => task.taskDefinitionArn === taskDefinition && hasFailed(task)).length;
  const counted = deployment?.deploymentCircuitBreaker?.failureCount ?? 0;
  return Math.max(shown, counted, ofDeployment?.failedTasks ?? 0);
}

/** The deployment that the service is to have. */
export function primaryOf({ service }: Seen): Deployment | undefined {
  return service?.deployments?.find(({ status }) => status === 'PRIMARY');
}

/** How many tasks of a definition are there in any way, gone ones left out. */
export function presentTasks({ tasks }: Seen, is: (taskDefinition: string | undefined) => boolean): number {
  return tasks.filter((task) => task.lastStatus !== 'STOPPED' && is(task.taskDefinitionArn)).length;
}
