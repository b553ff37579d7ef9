import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { ECRClient } from '@aws-sdk/client-ecr';
import { ECSClient } from '@aws-sdk/client-ecs';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { slowCalls } from '../../functions/aws/client.ts';
import { ecsWorld, isGoing, type SimDeployment, type SimService, type SimTask } from './ecs-world.ts';
import { awsError, scriptAws, testAwsConfig } from './scripted-aws.ts';

/**
 * - `throttled`: refused, nothing done. - `lost`: done, and no answer came. - `silent`: nothing done, no answer.
 */
export type Fault = 'throttled' | 'lost' | 'silent';

/** The control plane is killed here; no retry brings it back. */
export class Killed extends Error {
  override readonly name = 'Killed';
}

// oxlint-disable-next-line typescript/no-explicit-any -- each operation has its own input
type Input = any;
type LogEvent = { readonly stream: string; readonly at: number; readonly text: string };

/** ECS, Elastic Load Balancing and CloudWatch Logs by their documented shapes, over a world that a test drives. */
export function scriptedEcs(options: { readonly maxAttempts?: number } = {}) {
  const world = ecsWorld();
  const calls: string[] = [];
  const inputs: { readonly operation: string; readonly input: Input }[] = [];
  const faults: { operation: string; fault: Fault }[] = [];
  const logEvents: LogEvent[] = [];
  /** What lies in the registry: `repository@digest`, or `held …` for one that an index names. */
  const images = new Set<string>();
  const script = {
    /** So many calls go through; the next is killed before (`false`) or after (`true`) it was done. */
    killAfter: undefined as { readonly calls: number; readonly isDone: boolean } | undefined,
    /** So many lists and descriptions of deployments and definitions do not show yet what is new. */
    lateLists: 0,
    /** Called before every call; what it throws is what the caller gets. */
    beforeCall: (_operation: string): void => {},
  };

  const answer = (operation: string, input: Input): object => {
    calls.push(operation);
    inputs.push({ operation, input });
    script.beforeCall(operation);
    const kill = script.killAfter;
    if (kill && calls.length > kill.calls) {
      if (kill.isDone && calls.length === kill.calls + 1) operations[operation]?.(input);
      throw new Killed(`killed at ${operation}`);
    }
    const at = faults.findIndex((entry) => entry.operation === operation);
    const fault = at >= 0 ? faults.splice(at, 1)[0]?.fault : undefined;
    if (fault === 'throttled') throw awsError('ThrottlingException', 'Rate exceeded');
    if (fault === 'silent') throw awsError('TimeoutError', 'no answer', 0);
    const does = operations[operation];
    if (!does) throw awsError('UnsupportedFeatureException', `the scripted AWS does not know ${operation}`);
    const output = structuredClone(does(input));
    if (fault === 'lost') throw awsError('TimeoutError', 'no answer', 0);
    return output;
  };

  const serviceOf = ({ cluster, service }: { cluster?: string; service?: string }): SimService => {
    const found = world.services.find((entry) => entry.cluster === cluster && entry.name === service);
    if (!found) throw awsError('ServiceNotFoundException', 'Service not found.');
    return found;
  };
  const deploymentOf = (arn: string): SimDeployment => {
    const found = world.services.flatMap(({ deployments }) => deployments).find((entry) => entry.arn === arn);
    if (!found) throw awsError('ServiceDeploymentNotFoundException', 'The service deployment was not found.');
    return found;
  };
  const isLate = () => script.lateLists > 0 && (script.lateLists -= 1) >= 0;

  const operations: Record<string, (input: Input) => object> = {
    ListClusters: () => ({ clusterArns: [] }),
    DescribeServices: ({ cluster, services }) => {
      const found = world.services.filter((entry) => entry.cluster === cluster && services.includes(entry.name));
      const missing = services.filter((name: string) => !found.some((entry) => entry.name === name));
      return {
        services: found.map(describeService),
        failures: missing.map((name: string) => ({ arn: name, reason: 'MISSING' })),
      };
    },
    UpdateService: (input) => {
      const service = serviceOf(input);
      service.updates += 1;
      if (input.deploymentConfiguration) service.configuration = structuredClone(input.deploymentConfiguration);
      if (input.desiredCount !== undefined) service.desired = input.desiredCount;
      if (input.taskDefinition !== undefined) {
        const known = world.definitions.get(input.taskDefinition);
        if (!known) throw awsError('ClientException', 'TaskDefinition not found.');
        if (known.definition.status !== 'ACTIVE') throw awsError('ClientException', 'TaskDefinition is inactive');
        if (input.taskDefinition !== service.definition || input.forceNewDeployment) {
          world.deploy(service, input.taskDefinition);
        }
      }
      return { service: describeService(service) };
    },
    DescribeTaskDefinition: ({ taskDefinition, include }) => {
      // A family's name stands for its newest active revision.
      const family = [...world.definitions.values()].filter(
        ({ definition }) => definition.family === taskDefinition && definition.status === 'ACTIVE',
      );
      const known = world.definitions.get(taskDefinition) ?? family.at(-1);
      if (!known) throw awsError('ClientException', 'Unable to describe task definition.');
      return { taskDefinition: known.definition, ...(include?.includes('TAGS') && { tags: known.tags }) };
    },
    RegisterTaskDefinition: (input) => {
      const { definition, tags } = world.register(input);
      return { taskDefinition: definition, tags };
    },
    ListTaskDefinitions: ({ familyPrefix, maxResults = 100 }) => {
      const all = [...world.definitions.values()].filter(({ definition }) => definition.family === familyPrefix);
      const newestFirst = all.toReversed().map(({ definition }) => definition.taskDefinitionArn);
      return { taskDefinitionArns: newestFirst.slice(isLate() ? 1 : 0, maxResults) };
    },
    ListServiceDeployments: (input) => {
      const all = serviceOf(input).deployments.filter(({ createdAt }) => createdAt >= input.createdAt.after.getTime());
      const shown = isLate() ? all.slice(1) : all;
      return {
        serviceDeployments: shown.slice(0, input.maxResults).map((entry) => ({
          serviceDeploymentArn: entry.arn,
          targetServiceRevisionArn: entry.revision,
          status: entry.status,
          createdAt: new Date(entry.createdAt),
        })),
      };
    },
    DescribeServiceRevisions: ({ serviceRevisionArns }) => ({
      serviceRevisions: serviceRevisionArns.flatMap((arn: string) => {
        const revision = world.revisions.get(arn);
        return revision ? [{ serviceRevisionArn: arn, taskDefinition: revision.definition }] : [];
      }),
    }),
    DescribeServiceDeployments: ({ serviceDeploymentArns }) => ({
      serviceDeployments: serviceDeploymentArns.map((arn: string) => describeDeployment(deploymentOf(arn))),
    }),
    StopServiceDeployment: ({ serviceDeploymentArn }) => {
      const deployment = deploymentOf(serviceDeploymentArn);
      if (!isGoing(deployment)) {
        throw awsError('ConflictException', 'The service deployment cannot be stopped in its current state.');
      }
      if (deployment.status === 'PENDING' || deployment.status === 'IN_PROGRESS')
        deployment.status = 'ROLLBACK_REQUESTED';
      return { serviceDeploymentArn };
    },
    ListTasks: ({ cluster, serviceName, desiredStatus, nextToken = '0' }) => {
      const { tasks } = serviceOf({ cluster, service: serviceName });
      const lastHour = (task: SimTask) => (task.stoppedAt ?? world.now()) > world.now() - 3_600_000;
      const arns = tasks.filter((task) => task.desired === desiredStatus && lastHour(task)).map(({ arn }) => arn);
      const from = Number(nextToken);
      return {
        taskArns: arns.slice(from, from + 100),
        ...(arns.length > from + 100 && { nextToken: String(from + 100) }),
      };
    },
    DescribeTasks: ({ tasks }) => ({
      tasks: world.services.flatMap((service) =>
        service.tasks.filter(({ arn }) => tasks.includes(arn)).map((task) => describeTask(service, task)),
      ),
    }),
    DescribeTargetHealth: ({ TargetGroupArn }) => {
      const service = world.services.find(({ targetGroup }) => targetGroup === TargetGroupArn);
      if (!service) throw awsError('TargetGroupNotFoundException', 'One or more target groups not found');
      const registered = service.tasks.filter(({ target, status }) => target !== 'none' && status !== 'STOPPED');
      return {
        TargetHealthDescriptions: registered.map(({ ip, target }) => ({
          Target: { Id: ip, Port: service.containerPort },
          TargetHealth: { State: target },
        })),
      };
    },
    BatchDeleteImage: ({ repositoryName, imageIds }) => {
      if (![...images].some((image) => image.includes(`${repositoryName}@`))) {
        throw awsError('RepositoryNotFoundException');
      }
      const failures = imageIds.flatMap((imageId: { imageDigest: string }) => {
        const image = `${repositoryName}@${imageId.imageDigest}`;
        if (images.has(`held ${image}`)) return [{ imageId, failureCode: 'ImageReferencedByManifestList' }];
        return images.delete(image) ? [] : [{ imageId, failureCode: 'ImageNotFound' }];
      });
      return { imageIds: failures.length > 0 ? [] : imageIds, failures };
    },
    FilterLogEvents: ({ logStreamNamePrefix, startTime = 0, endTime = Infinity, limit = 10_000 }) => {
      const all = logEvents
        .map((event, at) => ({ ...event, id: `event-${at}` }))
        .filter(({ stream, at }) => stream.startsWith(logStreamNamePrefix) && at >= startTime && at <= endTime)
        .sort((a, b) => a.at - b.at);
      const events = all.slice(0, limit).map(({ stream, at, text, id }) => ({
        logStreamName: stream,
        timestamp: at,
        message: text,
        eventId: id,
      }));
      return { events, ...(all.length > limit && { nextToken: 'more' }) };
    },
  };

  const describeService = (service: SimService) => {
    const live = service.tasks.filter(({ status }) => status !== 'STOPPED');
    const pending = live.filter(({ status }) => status === 'PROVISIONING' || status === 'PENDING');
    const newest = service.deployments[0];
    const revisions = [...new Set([service.revision, ...live.map(({ revision }) => revision)])];
    const isFailing = newest?.status === 'ROLLBACK_FAILED' || newest?.status === 'STOPPED';
    return {
      serviceArn: service.arn,
      serviceName: service.name,
      status: 'ACTIVE',
      desiredCount: service.desired,
      runningCount: live.length - pending.length,
      pendingCount: pending.length,
      taskDefinition: service.definition,
      deploymentController: { type: service.controller },
      schedulingStrategy: 'REPLICA',
      deploymentConfiguration: service.configuration,
      tags: service.tags,
      loadBalancers: service.targetGroup
        ? [
            {
              targetGroupArn: service.targetGroup,
              containerName: service.containerName,
              containerPort: service.containerPort,
            },
          ]
        : [],
      ...(newest && isGoing(newest) && { currentServiceDeployment: newest.arn }),
      deployments: revisions.map((revision, at) => {
        const definition = world.revisions.get(revision)?.definition;
        const made = service.deployments.find((entry) => entry.revision === revision);
        const isCurrent = newest !== undefined && isGoing(newest);
        const state = isCurrent ? 'IN_PROGRESS' : isFailing ? 'FAILED' : 'COMPLETED';
        // A rollback is a deployment of its own, made when it began.
        const createdAt = at === 0 && newest?.rollback ? newest.rollback.startedAt : (made?.createdAt ?? 0);
        return {
          id: made?.id,
          status: at === 0 ? 'PRIMARY' : 'ACTIVE',
          taskDefinition: definition,
          createdAt: new Date(createdAt),
          rolloutState: at === 0 ? state : 'IN_PROGRESS',
          failedTasks: made?.failures ?? 0,
        };
      }),
    };
  };

  const summary = (service: SimService | undefined, arn: string) => {
    const tasks = (service?.tasks ?? []).filter(({ revision, status }) => revision === arn && status !== 'STOPPED');
    const pending = tasks.filter(({ status }) => status === 'PROVISIONING' || status === 'PENDING').length;
    return {
      arn,
      requestedTaskCount: service?.revision === arn ? service.desired : 0,
      runningTaskCount: tasks.length - pending,
      pendingTaskCount: pending,
    };
  };

  const describeDeployment = (deployment: SimDeployment) => {
    const service = world.services.find(({ deployments }) => deployments.includes(deployment));
    const breaker = service?.configuration.deploymentCircuitBreaker?.enable;
    return {
      serviceDeploymentArn: deployment.arn,
      serviceArn: service?.arn,
      createdAt: new Date(deployment.createdAt),
      ...(deployment.finishedAt !== undefined && { finishedAt: new Date(deployment.finishedAt) }),
      status: deployment.status,
      statusReason: deployment.statusReason,
      targetServiceRevision: summary(service, deployment.revision),
      sourceServiceRevisions: deployment.sources
        .filter((arn) => arn !== deployment.revision)
        .map((arn) => summary(service, arn)),
      deploymentCircuitBreaker: {
        status: deployment.tripped ? 'TRIGGERED' : breaker ? 'MONITORING' : 'DISABLED',
        failureCount: deployment.failures,
        threshold: deployment.threshold,
      },
      alarms: {
        status: deployment.rang.length > 0 ? 'TRIGGERED' : 'MONITORING',
        triggeredAlarmNames: deployment.rang,
      },
      ...(deployment.rollback && {
        rollback: {
          reason: deployment.rollback.reason,
          startedAt: new Date(deployment.rollback.startedAt),
          serviceRevisionArn: deployment.rollback.revision,
        },
      }),
    };
  };

  const describeTask = (service: SimService, task: SimTask) => ({
    taskArn: task.arn,
    taskDefinitionArn: task.definition,
    lastStatus: task.status,
    desiredStatus: task.desired,
    createdAt: new Date(task.createdAt),
    ...(task.startedAt !== undefined && { startedAt: new Date(task.startedAt) }),
    ...(task.stoppedAt !== undefined && { stoppedAt: new Date(task.stoppedAt) }),
    ...(task.stopCode !== undefined && { stopCode: task.stopCode, stoppedReason: task.stoppedReason }),
    containers: [
      {
        name: service.containerName,
        lastStatus: task.status,
        ...(task.exitCode !== undefined && { exitCode: task.exitCode }),
        networkInterfaces: [{ privateIpv4Address: task.ip }],
      },
    ],
  });

  const { maxAttempts = slowCalls.maxAttempts } = options;
  const config = { ...testAwsConfig, ...slowCalls, maxAttempts };
  return {
    world,
    calls,
    inputs,
    script,
    logEvents,
    images,
    ecr: scriptAws(new ECRClient(config), answer),
    ecs: scriptAws(new ECSClient(config), answer),
    loadBalancing: scriptAws(new ElasticLoadBalancingV2Client(config), answer),
    logs: scriptAws(new CloudWatchLogsClient(config), answer),
    /** The next calls of an operation meet these faults, one each. */
    fault: (operation: string, ...kinds: Fault[]) => void faults.push(...kinds.map((fault) => ({ operation, fault }))),
    /** Forgets which calls were made. */
    forgetCalls: () => {
      calls.length = 0;
      inputs.length = 0;
    },
  };
}

export type ScriptedEcs = ReturnType<typeof scriptedEcs>;
