import { CfnOutput, Duration, RemovalPolicy, Stack, Tags } from 'aws-cdk-lib';
import type { Alarm } from 'aws-cdk-lib/aws-cloudwatch';
import {
  AvailabilityZoneRebalancing,
  DeploymentControllerType,
  FargateService,
  PropagatedTagSource,
  TaskDefinitionRevision,
  type CfnService,
  type FargateTaskDefinition,
} from 'aws-cdk-lib/aws-ecs';
import type { ApplicationLoadBalancer, ApplicationTargetGroup } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { appTag, environmentTag, managedTag } from '../functions/runtime/aws-names.ts';
import { rolloutAlarms } from './deployable-alarms.ts';
import { serviceFront } from './deployable-front.ts';
import { serviceSettingsOf, type DeployableServiceProps, type ServiceSettings } from './deployable-props.ts';
import { taskRoles } from './deployable-roles.ts';
import { firstTask, taskTemplate } from './deployable-task.ts';

export type { DeployableServiceProps, Front, Runs, TaskCount } from './deployable-props.ts';

/**
 * One target of an app, to be put in the app team's own stack: a Fargate service behind a load balancer that Sluice may
 * deploy to. The stack says how the service and its tasks are; Sluice says what runs in it. docs/deployable-service.md.
 *
 * Throws `Problem('invalid')` that names every wrong property and what was expected.
 *
 * @example
 * new DeployableService(stack, 'Web', {
 *   app: 'web', environment: 'dev', target: 'web', cluster,
 *   runs: { kind: 'image' },
 *   front: { kind: 'listener', listener, priority: 10, hosts: ['web.example.com'] },
 * });
 */
export class DeployableService extends Construct {
  readonly service: FargateService;
  readonly targetGroup: ApplicationTargetGroup;
  /** Its own load balancer, if it has one. */
  readonly loadBalancer: ApplicationLoadBalancer | undefined;
  /** What the app itself may do: `table.grantReadWriteData(service.taskRole)`. */
  readonly taskRole: Role;
  /** How tasks are to be; other containers, volumes and the like are added to it. A deployment brings them. */
  readonly template: FargateTaskDefinition;

  constructor(scope: Construct, id: string, props: DeployableServiceProps) {
    super(scope, id);
    const settings = serviceSettingsOf(props);
    const logGroupName = `/${settings.prefix}/task/${settings.app}/${settings.environment}/${settings.target}`;
    const roles = taskRoles(this, settings, logGroupName);
    const logGroup = new LogGroup(this, 'Log', {
      logGroupName,
      // The enum's values are the days.
      retention: settings.logDays as RetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.taskRole = roles.task;
    this.template = taskTemplate(this, { settings, roles, logGroup });
    this.service = rollingService(this, settings, firstTask(this, { settings, roles, logGroup }));
    const front = serviceFront(this, { settings, vpc: settings.cluster.vpc, service: this.service });
    this.targetGroup = front.targetGroup;
    this.loadBalancer = front.loadBalancer;
    const alarms = rolloutAlarms(this, settings, this.targetGroup);
    undoneBy(this.service, alarms);
    this.scale(settings);
    this.tag(settings);
    new CfnOutput(this, 'Target', {
      description: 'What the app file says of it, in environments[].targets[]',
      value: Stack.of(this).toJsonString({
        name: settings.target,
        cluster: settings.cluster.clusterName,
        service: settings.serviceName,
      }),
    });
  }

  /** The service says no number of tasks, which a stack's update would set it back to; its range does. */
  private scale({ tasks }: ServiceSettings): void {
    const scaling = this.service.autoScaleTaskCount({ minCapacity: tasks.min, maxCapacity: tasks.max });
    if (tasks.max > tasks.min) {
      scaling.scaleOnCpuUtilization('Cpu', { targetUtilizationPercent: tasks.cpuPercent });
    }
  }

  private tag({ prefix, app, environment }: ServiceSettings): void {
    Tags.of(this).add(managedTag, prefix);
    Tags.of(this).add(appTag, app);
    Tags.of(this).add(environmentTag, environment);
  }
}

/**
 * As `enableDeploymentAlarms` does, which tells everybody who synthesises of a circle that there may be: these alarms
 * look at the target group and never at the service.
 */
function undoneBy(service: FargateService, alarms: readonly Alarm[]): void {
  (service.node.defaultChild as CfnService).addPropertyOverride('DeploymentConfiguration.Alarms', {
    AlarmNames: alarms.map(({ alarmName }) => alarmName),
    Enable: true,
    Rollback: true,
  });
}

function rollingService(scope: Construct, settings: ServiceSettings, first: FargateTaskDefinition): FargateService {
  const { cluster, serviceName, health, subnets, assignPublicIp, securityGroups } = settings;
  return new FargateService(scope, 'Service', {
    cluster,
    serviceName,
    taskDefinition: first,
    // The family and no revision: an update of the stack leaves the service at what the control plane registered last,
    // where a revision would be set again by every one. https://github.com/aws/aws-cdk/pull/27036
    taskDefinitionRevision: TaskDefinitionRevision.LATEST,
    deploymentController: { type: DeploymentControllerType.ECS },
    // Never fewer than are wanted; the new ones come beside the old.
    minHealthyPercent: 100,
    maxHealthyPercent: 200,
    circuitBreaker: { rollback: true },
    availabilityZoneRebalancing: AvailabilityZoneRebalancing.ENABLED,
    healthCheckGracePeriod: Duration.seconds(health.graceSeconds),
    // Nobody gets a shell in a task: what runs is what was deployed.
    enableExecuteCommand: false,
    enableECSManagedTags: true,
    propagateTags: PropagatedTagSource.SERVICE,
    assignPublicIp,
    ...(subnets ? { vpcSubnets: subnets } : {}),
    ...(securityGroups ? { securityGroups: [...securityGroups] } : {}),
  });
}
