import { randomUUID } from 'node:crypto';
import type { Build } from '@aws-sdk/client-codebuild';
import type { EcsWorld, SimService } from './ecs-world.ts';

type Json = Readonly<Record<string, unknown>>;

/**
 * What EventBridge is told of the scripted ECS and the rules of `infra/events.ts` pass on: tasks that run or have
 * stopped, deployments of services that move, services that are steady. A task that is told to stop is told of as well,
 * as its desired status changes while it still runs.
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_deployment_events.html
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_events.html
 */
export function ecsEvents(world: EcsWorld) {
  const tasks = new Map<string, string>();
  const deployments = new Map<string, string>();

  /** The events of what is otherwise than at the last call. */
  function next(): readonly Json[] {
    return world.services.flatMap((service) => [...taskEvents(service), ...deploymentEvents(service)]);
  }

  function taskEvents(service: SimService): readonly Json[] {
    return service.tasks.flatMap((task) => {
      const before = tasks.get(task.arn);
      const now = `${task.status}/${task.desired}`;
      tasks.set(task.arn, now);
      if (before === now) return [];
      const wasRunning = before === 'RUNNING/RUNNING';
      const told = wasRunning && task.desired === 'STOPPED' ? ['RUNNING', task.status] : [task.status];
      return told
        .filter((status) => status === 'RUNNING' || status === 'STOPPED')
        .map((lastStatus) =>
          eventOf('ECS Task State Change', task.arn, {
            at: world.now(),
            detail: {
              clusterArn: clusterOf(service),
              group: `service:${service.name}`,
              taskArn: task.arn,
              lastStatus,
              desiredStatus: task.desired,
            },
          }),
        );
    });
  }

  function deploymentEvents(service: SimService): readonly Json[] {
    return service.deployments.flatMap((deployment) => {
      const before = deployments.get(deployment.arn);
      deployments.set(deployment.arn, deployment.status);
      const eventName = names[deployment.status];
      if (before === deployment.status || eventName === undefined) return [];
      const moved = eventOf('ECS Deployment State Change', service.arn, {
        at: world.now(),
        detail: {
          eventType: eventName.endsWith('FAILED') ? 'ERROR' : 'INFO',
          eventName,
          deploymentId: deployment.id,
          updatedAt: new Date(world.now()).toISOString(),
          reason: deployment.statusReason,
        },
      });
      const steady = eventOf('ECS Service Action', service.arn, {
        at: world.now(),
        detail: {
          eventType: 'INFO',
          eventName: 'SERVICE_STEADY_STATE',
          clusterArn: clusterOf(service),
          createdAt: new Date(world.now()).toISOString(),
        },
      });
      return eventName === 'SERVICE_DEPLOYMENT_COMPLETED' ? [moved, steady] : [moved];
    });
  }

  // What happened before anybody listened.
  next();
  return { next };
}

const names: Readonly<Record<string, string>> = {
  IN_PROGRESS: 'SERVICE_DEPLOYMENT_IN_PROGRESS',
  ROLLBACK_IN_PROGRESS: 'SERVICE_DEPLOYMENT_FAILED',
  SUCCESSFUL: 'SERVICE_DEPLOYMENT_COMPLETED',
  ROLLBACK_SUCCESSFUL: 'SERVICE_DEPLOYMENT_COMPLETED',
};

function clusterOf({ arn }: SimService): string {
  return arn.slice(0, arn.lastIndexOf('/')).replace(':service/', ':cluster/');
}

function eventOf(type: string, resource: string, told: { readonly at: number; readonly detail: Json }): Json {
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': type,
    source: 'aws.ecs',
    time: `${new Date(told.at).toISOString().slice(0, 19)}Z`,
    resources: [resource],
    detail: told.detail,
  };
}

/** https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-notifications-ref.html */
export function buildEvent(build: Build, at: number): Json {
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': 'CodeBuild Build State Change',
    source: 'aws.codebuild',
    time: `${new Date(at).toISOString().slice(0, 19)}Z`,
    resources: [build.arn],
    detail: {
      'build-status': build.buildStatus,
      'project-name': build.projectName,
      'build-id': build.arn,
      'additional-information': {
        'build-start-time': 'Nov 20, 2026 12:00:00 PM',
        environment: { 'environment-variables': build.environment?.environmentVariables ?? [] },
        logs: { 'group-name': build.logs?.groupName ?? null, 'stream-name': build.logs?.streamName ?? null },
      },
    },
  };
}

/** https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html */
export function executionEvent(ended: {
  readonly arn: string;
  readonly status: string;
  readonly startedAt: number;
  readonly at: number;
}): Json {
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': 'Step Functions Execution Status Change',
    source: 'aws.states',
    detail: { executionArn: ended.arn, status: ended.status, startDate: ended.startedAt, stopDate: ended.at },
  };
}
