import type {
  DeploymentConfiguration,
  RegisterTaskDefinitionCommandInput,
  ServiceDeploymentStatus,
  Tag,
  TaskDefinition,
} from '@aws-sdk/client-ecs';

/**
 * ECS with a load balancer, as far as its documents say how it behaves:
 * - service deployments and their states: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-deployment.html
 * - rolling updates: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html
 * - the circuit breaker goes back to the last deployment that completed, and a stop to the previous revision:
 *   https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html and …/stop-service-deployment.html
 * - a task's states: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
 * Nothing happens between two calls of `tick`: each is one step of everything.
 */
export type Behaviour = 'healthy' | 'unhealthy' | 'exits' | 'slow';

export type SimTask = {
  readonly id: string;
  readonly arn: string;
  readonly definition: string;
  readonly revision: string;
  readonly ip: string;
  readonly createdAt: number;
  startedAt?: number;
  stoppedAt?: number;
  status: 'PROVISIONING' | 'PENDING' | 'RUNNING' | 'DEACTIVATING' | 'STOPPING' | 'STOPPED';
  desired: 'RUNNING' | 'STOPPED';
  target: 'none' | 'initial' | 'healthy' | 'unhealthy' | 'draining';
  drains: number;
  unhealthyFor: number;
  stopCode?: string;
  stoppedReason?: string;
  exitCode?: number;
};

export type SimDeployment = {
  readonly arn: string;
  readonly id: string;
  readonly revision: string;
  readonly definition: string;
  readonly sources: readonly string[];
  readonly createdAt: number;
  readonly threshold: number;
  finishedAt?: number;
  status: ServiceDeploymentStatus;
  statusReason: string;
  failures: number;
  tripped: boolean;
  rang: string[];
  rollback?: { reason: string; startedAt: number; revision: string };
};

export type SimService = {
  readonly arn: string;
  readonly name: string;
  readonly cluster: string;
  readonly targetGroup: string | undefined;
  readonly containerName: string;
  readonly containerPort: number;
  tags: Tag[];
  controller: 'ECS' | 'CODE_DEPLOY' | 'EXTERNAL';
  desired: number;
  definition: string;
  /** The service revision that is to run. */
  revision: string;
  configuration: DeploymentConfiguration;
  deployments: SimDeployment[];
  tasks: SimTask[];
  updates: number;
};

export type SimDefinition = { readonly definition: TaskDefinition; readonly tags: Tag[] };

const account = 'arn:aws:ecs:eu-central-1:111122223333';
const going: readonly ServiceDeploymentStatus[] = [
  'PENDING',
  'IN_PROGRESS',
  'ROLLBACK_REQUESTED',
  'ROLLBACK_IN_PROGRESS',
  'STOP_REQUESTED',
];
export const isGoing = ({ status }: Pick<SimDeployment, 'status'>): boolean => going.includes(status);

export function ecsWorld() {
  const services: SimService[] = [];
  const definitions = new Map<string, SimDefinition>();
  const revisions = new Map<string, { readonly definition: string; readonly service: string }>();
  const settings = {
    /** How tasks of a definition behave; told by what the definition holds. */
    behaviour: (_definition: TaskDefinition): Behaviour => 'healthy',
    /** How much time one step takes. */
    tickMs: 10_000,
    drainTicks: 1,
    /** Whether a rollback comes to nothing. */
    failsRollback: false,
    /** Called for each service that something happened to. */
    onEvent: (_serviceArn: string): void => {},
  };
  let now = Date.parse('2026-11-20T12:00:00Z');
  let counter = 0;
  const next = () => String((counter += 1)).padStart(6, '0');

  function register(input: RegisterTaskDefinitionCommandInput): SimDefinition {
    const { tags = [], ...rest } = input;
    const family = input.family ?? '';
    const of = [...definitions.values()].filter(({ definition }) => definition.family === family);
    const revision = of.length + 1;
    const made: SimDefinition = {
      definition: {
        ...structuredClone(rest),
        family,
        revision,
        taskDefinitionArn: `${account}:task-definition/${family}:${revision}`,
        status: 'ACTIVE',
        compatibilities: ['EC2', 'FARGATE'],
        requiresAttributes: [{ name: 'com.amazonaws.ecs.capability.docker-remote-api.1.18' }],
        registeredAt: new Date(now),
        registeredBy: `${account}:role/somebody`,
      },
      tags: structuredClone(tags),
    };
    definitions.set(made.definition.taskDefinitionArn ?? '', made);
    return made;
  }

  function newRevision(service: SimService, definition: string): string {
    const arn = `${account}:service-revision/${service.cluster}/${service.name}/${next()}`;
    revisions.set(arn, { definition, service: service.arn });
    return arn;
  }

  function newTask(service: SimService, revision: string): void {
    const id = next().padStart(32, 'a');
    service.tasks.push({
      id,
      arn: `${account}:task/${service.cluster}/${id}`,
      definition: revisions.get(revision)?.definition ?? '',
      revision,
      ip: `10.0.${Math.floor(counter / 250)}.${counter % 250}`,
      createdAt: now,
      status: 'PROVISIONING',
      desired: 'RUNNING',
      target: 'none',
      drains: settings.drainTicks,
      unhealthyFor: 0,
    });
  }

  /** What `UpdateService` does with another task definition: a deployment, which ends the one that is on its way. */
  function deploy(service: SimService, definition: string): void {
    for (const other of service.deployments.filter(isGoing)) {
      other.status = 'STOPPED';
      other.finishedAt = now;
      other.statusReason = 'Service deployment was stopped because a new one was started.';
    }
    const sources = [
      ...new Set(service.tasks.filter(({ status }) => status !== 'STOPPED').map((task) => task.revision)),
    ];
    service.definition = definition;
    service.revision = newRevision(service, definition);
    const { thresholdConfiguration: threshold } = service.configuration.deploymentCircuitBreaker ?? {};
    service.deployments.unshift({
      arn: `${account}:service-deployment/${service.cluster}/${service.name}/${next()}`,
      id: `ecs-svc/${next()}`,
      revision: service.revision,
      definition,
      sources: sources.length > 0 ? sources : [service.deployments[0]?.revision ?? service.revision],
      createdAt: now,
      threshold: threshold?.type === 'COUNT' ? (threshold.value ?? 3) : Math.max(3, Math.ceil(service.desired / 2)),
      status: 'PENDING',
      statusReason: '',
      failures: 0,
      tripped: false,
      rang: [],
    });
  }

  function rollBack(service: SimService, deployment: SimDeployment, reason: string): void {
    const good = service.deployments.find(({ status }) => status === 'SUCCESSFUL');
    if (!good) {
      deployment.status = 'ROLLBACK_FAILED';
      deployment.statusReason = 'No rollback candidate was found to run the rollback.';
      deployment.finishedAt = now;
      return;
    }
    deployment.status = 'ROLLBACK_IN_PROGRESS';
    deployment.statusReason = reason;
    deployment.rollback = { reason, startedAt: now, revision: good.revision };
    service.definition = good.definition;
    service.revision = good.revision;
  }

  function stop(task: SimTask, why: { code: string; reason: string; exitCode?: number }): void {
    if (task.desired === 'STOPPED') return;
    task.desired = 'STOPPED';
    task.stopCode = why.code;
    task.stoppedReason = why.reason;
    if (why.exitCode !== undefined) task.exitCode = why.exitCode;
    if (task.target === 'healthy' || task.target === 'unhealthy' || task.target === 'initial') task.target = 'draining';
    task.status = 'DEACTIVATING';
  }

  function stepTask(service: SimService, task: SimTask): void {
    if (task.status === 'STOPPED') return;
    if (task.desired === 'STOPPED') {
      if (task.target === 'draining' && task.drains > 0) task.drains -= 1;
      else if (task.target === 'draining') task.target = 'none';
      else if (task.status !== 'STOPPING') task.status = 'STOPPING';
      else {
        task.status = 'STOPPED';
        task.stoppedAt = now;
      }
      return;
    }
    const definition = definitions.get(task.definition)?.definition ?? {};
    const behaviour = settings.behaviour(definition);
    if (task.status === 'PROVISIONING') task.status = 'PENDING';
    else if (task.status === 'PENDING') {
      task.status = 'RUNNING';
      task.startedAt = now;
      task.target = service.targetGroup === undefined ? 'none' : 'initial';
    } else if (behaviour === 'exits') {
      fail(service, task, {
        code: 'EssentialContainerExited',
        reason: 'Essential container in task exited',
        exitCode: 7,
      });
    } else if (behaviour === 'unhealthy') {
      task.target = 'unhealthy';
      task.unhealthyFor += 1;
      if (task.unhealthyFor > 1) {
        const reason = `Task failed ELB health checks in (target-group ${service.targetGroup})`;
        fail(service, task, { code: 'ServiceSchedulerInitiated', reason });
      }
    } else if (behaviour === 'healthy' && service.targetGroup !== undefined) task.target = 'healthy';
  }

  function fail(service: SimService, task: SimTask, why: { code: string; reason: string; exitCode?: number }): void {
    stop(task, why);
    const deployment = service.deployments.find(isGoing);
    if (deployment?.status === 'IN_PROGRESS' && deployment.revision === task.revision) deployment.failures += 1;
  }

  const isServing = (service: SimService, task: SimTask) =>
    task.status === 'RUNNING' && (service.targetGroup === undefined || task.target === 'healthy');

  /** The scheduler: start what is missing up to the maximum, stop old ones that the new ones have replaced. */
  function schedule(service: SimService): void {
    const present = service.tasks.filter(({ status }) => status !== 'STOPPED');
    const wanted = present.filter((task) => task.desired === 'RUNNING');
    const fresh = wanted.filter((task) => task.revision === service.revision);
    const old = wanted.filter((task) => task.revision !== service.revision);
    const max = Math.floor((service.desired * (service.configuration.maximumPercent ?? 200)) / 100);
    const room = Math.max(0, max - wanted.length);
    for (let start = Math.min(room, service.desired - fresh.length); start > 0; start -= 1)
      newTask(service, service.revision);
    const told = { code: 'ServiceSchedulerInitiated', reason: 'Scaling activity initiated by deployment' };
    for (const task of fresh.slice(service.desired)) stop(task, told);
    const serving = fresh.filter((task) => isServing(service, task)).length;
    // What does not serve holds up nobody, and makes room.
    const notServing = old.filter((task) => !isServing(service, task));
    const oldServing = old.filter((task) => isServing(service, task));
    const surplus = Math.max(0, serving + oldServing.length - service.desired);
    for (const task of [...notServing, ...oldServing.slice(0, surplus)]) stop(task, told);
  }

  function stepDeployment(service: SimService): void {
    const deployment = service.deployments.find(isGoing);
    if (!deployment) return;
    if (deployment.status === 'PENDING') deployment.status = 'IN_PROGRESS';
    else if (deployment.status === 'ROLLBACK_REQUESTED') rollBack(service, deployment, 'Rollback requested by a user.');
    else if (deployment.status === 'ROLLBACK_IN_PROGRESS') {
      if (settings.failsRollback) {
        deployment.status = 'ROLLBACK_FAILED';
        deployment.statusReason = 'The rollback deployment failed.';
        deployment.finishedAt = now;
      } else if (isDone(service)) {
        deployment.status = 'ROLLBACK_SUCCESSFUL';
        deployment.finishedAt = now;
      }
    } else if (deployment.rang.length > 0) {
      rollBack(service, deployment, 'Service deployment rolled back because a CloudWatch alarm was triggered.');
    } else if (deployment.failures >= deployment.threshold && service.configuration.deploymentCircuitBreaker?.enable) {
      deployment.tripped = true;
      rollBack(
        service,
        deployment,
        'Service deployment rolled back because the circuit breaker threshold was exceeded.',
      );
    } else if (isDone(service)) {
      deployment.status = 'SUCCESSFUL';
      deployment.finishedAt = now;
    }
  }

  function isDone(service: SimService): boolean {
    const present = service.tasks.filter(({ status }) => status !== 'STOPPED');
    const fresh = present.filter((task) => task.revision === service.revision && isServing(service, task));
    return fresh.length === service.desired && present.length === fresh.length;
  }

  function tick(times = 1): void {
    for (let step = 0; step < times; step += 1) {
      now += settings.tickMs;
      for (const service of services) {
        const before = JSON.stringify([service.deployments[0]?.status, service.tasks]);
        for (const task of service.tasks) stepTask(service, task);
        stepDeployment(service);
        schedule(service);
        const after = JSON.stringify([service.deployments[0]?.status, service.tasks]);
        if (before !== after) settings.onEvent(service.arn);
      }
    }
  }

  /** A service as an app's stack makes it, running and steady. */
  function addService(
    made: Pick<SimService, 'name' | 'cluster' | 'tags' | 'desired' | 'definition'> &
      Partial<Pick<SimService, 'targetGroup' | 'containerName' | 'containerPort' | 'configuration' | 'controller'>>,
  ): SimService {
    const { name, cluster } = made;
    const targetGroup = `arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/${name}/0123456789abcdef`;
    const service: SimService = {
      arn: `${account}:service/${cluster}/${name}`,
      targetGroup,
      containerName: 'web',
      containerPort: 3000,
      controller: 'ECS',
      configuration: {},
      revision: '',
      deployments: [],
      tasks: [],
      updates: 0,
      ...made,
    };
    services.push(service);
    deploy(service, made.definition);
    tick(8);
    return service;
  }

  return {
    services,
    definitions,
    revisions,
    settings,
    register,
    deploy,
    tick,
    addService,
    fail,
    now: () => now,
    /** Lets time pass in which ECS does nothing. */
    wait: (ms: number) => void (now += ms),
    ring: (service: SimService, alarm: string) => void service.deployments.find(isGoing)?.rang.push(alarm),
    serving: (service: SimService, task: SimTask) => isServing(service, task),
  };
}

export type EcsWorld = ReturnType<typeof ecsWorld>;
