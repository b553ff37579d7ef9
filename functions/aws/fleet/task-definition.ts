import type {
  ContainerDefinition,
  DescribeTaskDefinitionCommandOutput,
  KeyValuePair,
  RegisterTaskDefinitionCommandInput,
  Secret,
  Tag,
  TaskDefinition,
} from '@aws-sdk/client-ecs';
import type { Revision, TargetRef } from '../../ports/fleet.ts';
import {
  appTag,
  baseTag,
  blobKey,
  bundleContainer,
  bundleVariables,
  environmentTag,
  managedTag,
  revisionTag,
  rolloutTag,
  templateTag,
} from '../../runtime/aws-names.ts';
import { wrong } from './service.ts';

/** A task definition with its tags, as `DescribeTaskDefinition` gives it. */
export type Described = Pick<DescribeTaskDefinitionCommandOutput, 'taskDefinition' | 'tags'>;

export type NewDefinition = {
  /** The one that the app's stack made, whose fields that are not ours stay. */
  readonly base: Described;
  /** The family that the service runs, and the one that the stack keeps its templates in, where it has one. */
  readonly family: string;
  readonly template?: string | undefined;
  readonly ref: TargetRef;
  readonly rolloutId: string;
  readonly revision: Revision;
  /** The revision's secrets as ECS reads them: variable → `<secret's ARN>:::<version>`. */
  readonly secretReferences: Readonly<Record<string, string>>;
  readonly prefix: string;
  /** Where bundles lie. */
  readonly bucket: string;
};

/**
 * The task definition of a rollout: the base's with the image (or, for a bundle, what the init container fetches), the
 * command, the variables, the secrets and the stop time-out of one container changed, and nothing else. Pure.
 *
 * What the app's stack set in variables and secrets stays unless the app says otherwise under the same name; what an
 * earlier revision of the app set is gone, because the base and not that revision is what is built on.
 * Throws `Problem` when the container, or a bundle's init container, is missing.
 */
export function registerInput(from: NewDefinition): RegisterTaskDefinitionCommandInput {
  const { base, ref, revision } = from;
  const definition = registrable(base.taskDefinition ?? {});
  const name = containerNameOf(ref);
  const containers = base.taskDefinition?.containerDefinitions ?? [];
  requireContainer(containers, name, 'container');
  if (revision.artifact.kind === 'bundle') requireBundleContainers(containers, revision);
  return {
    ...definition,
    family: from.family,
    containerDefinitions: containers.map((container) => {
      if (container.name === name) return appContainer(container, from);
      const isInit = container.name === bundleContainer && revision.artifact.kind === 'bundle';
      return isInit ? initContainer(container, from) : container;
    }),
    tags: tagsOf(from),
  };
}

export function containerNameOf({ app, target }: Pick<TargetRef, 'app' | 'target'>): string {
  return target.container ?? app;
}

/** ECS takes 2 to 120 seconds; whole ones. */
export function stopTimeoutOf(seconds: number): number {
  return Math.min(120, Math.max(2, Math.ceil(seconds)));
}

/** Without what `RegisterTaskDefinition` does not take: ECS puts it there itself. */
function registrable(definition: TaskDefinition): Omit<RegisterTaskDefinitionCommandInput, 'containerDefinitions'> {
  const {
    taskDefinitionArn: _arn,
    containerDefinitions: _containers,
    revision: _revision,
    status: _status,
    requiresAttributes: _attributes,
    compatibilities: _compatibilities,
    registeredAt: _registeredAt,
    deregisteredAt: _deregisteredAt,
    deleteRequestedAt: _deleteRequestedAt,
    registeredBy: _registeredBy,
    ...rest
  } = definition;
  return { ...rest, family: definition.family };
}

function appContainer(container: ContainerDefinition, from: NewDefinition): ContainerDefinition {
  const { revision, secretReferences } = from;
  const variables = { ...revision.env, PORT: String(revision.port) };
  const secrets = Object.fromEntries(Object.entries(secretReferences).filter(([name]) => name !== 'PORT'));
  return {
    ...container,
    ...(revision.artifact.kind === 'image' && { image: revision.artifact.reference }),
    ...(revision.command && { command: [...revision.command] }),
    environment: environmentOf(container, variables, secrets),
    secrets: secretsOf(container, variables, secrets),
    stopTimeout: stopTimeoutOf(revision.stopTimeoutSeconds),
  };
}

/** A name is a variable or a secret, never both: ECS refuses that. A secret of the app's goes before its variable. */
function environmentOf(
  { environment = [] }: ContainerDefinition,
  variables: Readonly<Record<string, string>>,
  secrets: Readonly<Record<string, string>>,
): KeyValuePair[] {
  const isOurs = (name = '') => Object.hasOwn(variables, name) || Object.hasOwn(secrets, name);
  const ours = Object.entries(variables).filter(([name]) => !Object.hasOwn(secrets, name));
  return [...environment.filter(({ name }) => !isOurs(name)), ...ours.map(([name, value]) => ({ name, value }))];
}

function secretsOf(
  { secrets: given = [] }: ContainerDefinition,
  variables: Readonly<Record<string, string>>,
  secrets: Readonly<Record<string, string>>,
): Secret[] {
  const isOurs = (name = '') => Object.hasOwn(variables, name) || Object.hasOwn(secrets, name);
  const ours = Object.entries(secrets).map(([name, valueFrom]) => ({ name, valueFrom }));
  return [...given.filter(({ name }) => !isOurs(name)), ...ours];
}

function initContainer(container: ContainerDefinition, { revision, bucket }: NewDefinition): ContainerDefinition {
  const { digest } = revision.artifact;
  const variables = {
    [bundleVariables.bucket]: bucket,
    [bundleVariables.key]: blobKey(digest),
    [bundleVariables.sha256]: digest.slice('sha256:'.length),
  };
  return { ...container, environment: environmentOf(container, variables, {}) };
}

/** The base's own tags stay, for those who count costs by them; `aws:` is AWS's alone to write. */
function tagsOf({ base, template, ref, revision, rolloutId, prefix }: NewDefinition): Tag[] {
  const ours: Readonly<Record<string, string>> = {
    [managedTag]: prefix,
    [appTag]: ref.app,
    [environmentTag]: ref.environment,
    [revisionTag]: revision.id,
    [rolloutTag]: rolloutId,
    [baseTag]: String(base.taskDefinition?.revision),
    ...(template !== undefined && { [templateTag]: template }),
  };
  const kept = (base.tags ?? []).filter(({ key = '' }) => !/^aws:/i.test(key) && !Object.hasOwn(ours, key));
  return [...kept, ...Object.entries(ours).map(([key, value]) => ({ key, value }))];
}

function requireContainer(containers: readonly ContainerDefinition[], name: string, field: string): void {
  if (containers.some((container) => container.name === name)) return;
  const names = containers.map((container) => container.name).join(', ');
  throw wrong(field, `a container of the service's task definition: it has ${names}, and no ${name}`);
}

function requireBundleContainers(containers: readonly ContainerDefinition[], revision: Revision): void {
  if (!containers.some(({ name }) => name === bundleContainer))
    throw wrong('service', `a service whose tasks have the init container ${bundleContainer}, which fetches bundles`);
  if (!revision.command?.length) throw wrong('command', 'the command that starts the bundle, in runtime.command');
}
