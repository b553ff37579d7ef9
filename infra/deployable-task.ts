import { Duration, Tags } from 'aws-cdk-lib';
import {
  ContainerDependencyCondition,
  ContainerImage,
  CpuArchitecture,
  FargateTaskDefinition,
  LinuxParameters,
  LogDrivers,
  OperatingSystemFamily,
  VersionConsistency,
  type ContainerDefinition,
  type LogDriver,
} from 'aws-cdk-lib/aws-ecs';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { bundleContainer, bundleFolder, bundleVolume, templateTag } from '../functions/runtime/aws-names.ts';
import { bundleInitCommand } from '../functions/runtime/bundle-init.ts';
import { acknowledge } from './acknowledge.ts';
import { awsCliImage, nodeImage, type ServiceSettings } from './deployable-props.ts';
import type { TaskRoles } from './deployable-roles.ts';

export type TaskOptions = {
  readonly settings: ServiceSettings;
  readonly roles: TaskRoles;
  readonly logGroup: ILogGroup;
};

/**
 * The family that the service runs, and in which the control plane registers. Names may have dashes inside and no
 * underscores: so no two services have one family, whatever they are called.
 */
export const serviceFamily = ({ prefix, app, environment, target }: ServiceSettings): string =>
  [prefix, app, environment, target].join('_');
/** The family that says how tasks are to be; no service runs it. */
export const templateFamily = (settings: ServiceSettings): string => `${serviceFamily(settings)}_template`;

/**
 * How the service's tasks are to be: what of it the stack decides. The control plane copies its newest revision, with
 * the image (or bundle), command, variables and secrets of a deployment, at that deployment.
 */
export function taskTemplate(scope: Construct, options: TaskOptions): FargateTaskDefinition {
  const { settings } = options;
  const { runs, cpu, memory } = settings;
  const definition = taskDefinition(scope, 'Template', { ...options, family: templateFamily(settings), cpu, memory });
  const container = appContainer(definition, options);
  if (runs.kind === 'bundle') addBundle(definition, container, { ...options, image: runs.fetchImage ?? awsCliImage });
  acknowledge(definition, plainVariables);
  return definition;
}

/**
 * What runs from the making of the service to its first deployment: it answers 200 to everything. The same for ever,
 * whatever the template says, so that CloudFormation never registers another in the family that the service runs.
 */
export function firstTask(scope: Construct, options: TaskOptions): FargateTaskDefinition {
  const { settings, logGroup } = options;
  const { runs, app, containerPort } = settings;
  const image = (runs.kind === 'bundle' ? runs.runtimeImage : runs.initialImage) ?? nodeImage;
  const definition = taskDefinition(scope, 'First', {
    ...options,
    family: serviceFamily(settings),
    cpu: 256,
    memory: 512,
  });
  definition.addContainer('app', {
    containerName: app,
    image: ContainerImage.fromRegistry(image),
    command: ['node', '--eval', firstProgram],
    environment: { PORT: String(containerPort) },
    portMappings: [{ containerPort }],
    stopTimeout: Duration.seconds(settings.stopTimeoutSeconds),
    readonlyRootFilesystem: true,
    user: '1000:1000',
    linuxParameters: withInit(definition),
    logging: logOf(logGroup),
  });
  acknowledge(definition, plainVariables);
  return definition;
}

const firstProgram =
  "require('node:http').createServer((request, response) => response.end('Nothing is deployed here yet.\\n')).listen(process.env.PORT)";

function taskDefinition(
  scope: Construct,
  id: string,
  options: TaskOptions & { readonly family: string; readonly cpu: number; readonly memory: number },
): FargateTaskDefinition {
  const { settings, roles, family, cpu, memory } = options;
  const definition = new FargateTaskDefinition(scope, id, {
    family,
    cpu,
    memoryLimitMiB: memory,
    runtimePlatform: {
      cpuArchitecture: settings.architecture === 'arm64' ? CpuArchitecture.ARM64 : CpuArchitecture.X86_64,
      operatingSystemFamily: OperatingSystemFamily.LINUX,
    },
    taskRole: roles.task,
    executionRole: roles.execution.withoutPolicyUpdates(),
  });
  Tags.of(definition).add(templateTag, templateFamily(settings));
  return definition;
}

function appContainer(definition: FargateTaskDefinition, { settings, logGroup }: TaskOptions): ContainerDefinition {
  const { runs, app, containerPort, user } = settings;
  const image = runs.kind === 'bundle' ? (runs.runtimeImage ?? nodeImage) : (runs.initialImage ?? nodeImage);
  return definition.addContainer('app', {
    containerName: app,
    image: ContainerImage.fromRegistry(image),
    environment: { ...settings.environmentVariables, PORT: String(containerPort) },
    portMappings: [{ containerPort }],
    stopTimeout: Duration.seconds(settings.stopTimeoutSeconds),
    readonlyRootFilesystem: settings.readonlyRoot,
    versionConsistency: VersionConsistency.ENABLED,
    linuxParameters: withInit(definition),
    logging: logOf(logGroup),
    ...(user === undefined ? {} : { user }),
    ...(runs.kind === 'bundle' ? { workingDirectory: bundleFolder } : {}),
  });
}

function addBundle(
  definition: FargateTaskDefinition,
  container: ContainerDefinition,
  { image, logGroup }: TaskOptions & { readonly image: string },
): void {
  definition.addVolume({ name: bundleVolume });
  const init = definition.addContainer('bundle', {
    containerName: bundleContainer,
    image: ContainerImage.fromRegistry(image),
    essential: false,
    entryPoint: [...bundleInitCommand],
    versionConsistency: VersionConsistency.ENABLED,
    logging: logOf(logGroup),
  });
  init.addMountPoints({ sourceVolume: bundleVolume, containerPath: bundleFolder, readOnly: false });
  // What was built is what runs: nothing in it changes.
  container.addMountPoints({ sourceVolume: bundleVolume, containerPath: bundleFolder, readOnly: true });
  container.addContainerDependencies({ container: init, condition: ContainerDependencyCondition.SUCCESS });
}

/** A process 1 that passes signals on: an app that is process 1 itself and does not ask for SIGTERM never gets it. */
function withInit(definition: FargateTaskDefinition): LinuxParameters {
  return new LinuxParameters(definition, 'Linux', { initProcessEnabled: true });
}

function logOf(logGroup: ILogGroup): LogDriver {
  return LogDrivers.awsLogs({ logGroup, streamPrefix: 'task' });
}

const plainVariables = {
  id: 'AwsSolutions-ECS2',
  reason: 'Variables that are no secret; secrets come from Secrets Manager, by the app file.',
};
