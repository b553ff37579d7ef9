import type { Task } from '@aws-sdk/client-ecs';
import type { TaskView } from '../../ports/fleet.ts';

/**
 * How the targets of one target group stand: `id` is a task's address where the group's target type is `ip`, an
 * instance where it is `instance`.
 */
export type GroupHealth = {
  readonly targetGroup: string;
  readonly targets: readonly { readonly id: string; readonly state: string }[];
};

/** A task's own state; undefined when it has stopped. Pure. */
export function taskState(task: Task, health: readonly GroupHealth[]): TaskView['state'] | undefined {
  if (task.lastStatus === 'STOPPED') return undefined;
  if (task.lastStatus === 'STOPPING' || task.lastStatus === 'DEPROVISIONING') return 'stopping';
  const states = health.map((group) => stateIn(group, task));
  if (task.desiredStatus === 'STOPPED' || states.some(isDraining)) return 'draining';
  if (task.lastStatus !== 'RUNNING') return 'starting';
  if (task.healthStatus === 'UNHEALTHY' || states.includes('unhealthy')) return 'failed';
  return states.every(isServing) ? 'serving' : 'starting';
}

/** `unused`: nothing asks this group; `unavailable`: it checks no health. ECS waits for neither. */
const isServing = (state: string) => state === 'healthy' || state === 'unused' || state === 'unavailable';
/** https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html */
export const isDraining = (state: string): boolean => state === 'draining' || state === 'unhealthy.draining';

/**
 * A task without an address of its own (network mode `bridge` or `host`) cannot be told by its target; it serves when
 * it runs, and the group's draining targets are counted apart.
 */
function stateIn(group: GroupHealth, task: Task): string {
  const addresses = addressesOf(task);
  if (addresses.length === 0) return 'unavailable';
  return group.targets.find(({ id }) => addresses.includes(id))?.state ?? 'unregistered';
}

function addressesOf(task: Task): readonly string[] {
  const interfaces = (task.containers ?? []).flatMap((container) => container.networkInterfaces ?? []);
  const details = (task.attachments ?? []).flatMap((attachment) => attachment.details ?? []);
  return [
    ...interfaces.flatMap(({ privateIpv4Address, ipv6Address }) => [privateIpv4Address, ipv6Address]),
    ...details.filter(({ name }) => name === 'privateIPv4Address').map(({ value }) => value),
  ].filter((address) => address !== undefined);
}

/** The last part of a task's ARN, which is also the last part of its log stream's name. */
export function taskId(task: Task): string {
  return task.taskArn?.split('/').at(-1) ?? '';
}
