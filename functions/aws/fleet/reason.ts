import type { ServiceDeployment, Task } from '@aws-sdk/client-ecs';
import { endOf, hasFailed } from './failures.ts';

/** Why ECS gave a deployment up, in a sentence for people: which alarm, or how the new tasks ended. Pure. */
export function failureReason(deployment: ServiceDeployment, tasks: readonly Task[], taskDefinition: string): string {
  const { alarms, deploymentCircuitBreaker: breaker, rollback, statusReason } = deployment;
  const rang = alarms?.triggeredAlarmNames ?? [];
  if (rang.length > 0) return `The alarm${rang.length > 1 ? 's' : ''} ${rang.join(', ')} rang`;
  const said = rollback?.reason || statusReason || 'ECS gave the deployment up';
  const last = lastFailed(tasks, taskDefinition);
  const end = last ? `; the last one: ${endOf(last)}` : '';
  if (breaker?.status !== 'TRIGGERED') return last ? `${withoutStop(said)}; the last task: ${endOf(last)}` : said;
  const count = breaker.failureCount ?? 0;
  return `The circuit breaker opened after ${count} failed task${count === 1 ? '' : 's'}${end}`;
}

function lastFailed(tasks: readonly Task[], taskDefinition: string): Task | undefined {
  const stoppedAt = (task: Task) => (task.stoppedAt ?? task.stoppingAt ?? task.createdAt)?.getTime() ?? 0;
  return tasks
    .filter((task) => task.taskDefinitionArn === taskDefinition && hasFailed(task))
    .sort((a, b) => stoppedAt(a) - stoppedAt(b))
    .at(-1);
}

const withoutStop = (sentence: string) => sentence.replace(/\.$/, '');
