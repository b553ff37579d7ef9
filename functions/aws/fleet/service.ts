import {
  DescribeServicesCommand,
  type DescribeServicesCommandInput,
  type ECSClient,
  type Service,
  type Tag,
} from '@aws-sdk/client-ecs';
import type { TargetRef } from '../../ports/fleet.ts';
import { Problem } from '../../runtime/errors.ts';
import { appTag, environmentTag, managedTag } from '../../runtime/aws-names.ts';
import { answered, isNamed } from '../client.ts';

export type ServiceName = { readonly cluster: string; readonly service: string };

/** Where a target is in ECS; undefined for one that names no service, as on one machine. */
export function serviceNameOf({ target }: TargetRef): ServiceName | undefined {
  return target.service === undefined ? undefined : { cluster: target.cluster, service: target.service };
}

export function describeServiceInput({ cluster, service }: ServiceName): DescribeServicesCommandInput {
  return { cluster, services: [service], include: ['TAGS'] };
}

/**
 * Undefined for one that was never made, is deleted, or may not be read: the roles may read what carries our tag, so
 * IAM refuses a service that is not there as it refuses one that is not ours.
 */
export async function findService(ecs: ECSClient, name: ServiceName): Promise<Service | undefined> {
  try {
    const { services } = await answered('ECS', ecs.send(new DescribeServicesCommand(describeServiceInput(name))));
    const found = services?.[0];
    return found?.status === 'INACTIVE' ? undefined : found;
  } catch (error) {
    if (isNamed(error, 'ClusterNotFoundException', 'AccessDeniedException')) return undefined;
    throw error;
  }
}

/** The target's service, if the control plane may touch it. Throws `Problem` naming what is wrong with it. */
export async function getManagedService(
  from: { readonly ecs: ECSClient; readonly prefix: string },
  ref: TargetRef,
): Promise<Service> {
  const name = serviceNameOf(ref);
  if (!name) throw wrong('service', `the name of the ECS service of the target ${ref.target.name}`);
  const service = await findService(from.ecs, name);
  if (!service) {
    const where = `${name.service} in the cluster ${name.cluster}`;
    throw wrong('service', `an ECS service with the tag ${managedTag} = ${from.prefix}: ${where} is none`);
  }
  const issue = managedIssue(service, { ...ref, prefix: from.prefix });
  if (issue) throw wrong('service', issue);
  return service;
}

/** What is wrong with a service as ours to touch, as the words for what was expected; undefined when nothing is. Pure. */
export function managedIssue(
  service: Service,
  wanted: { readonly prefix: string; readonly app: string; readonly environment: string },
): string | undefined {
  const tags = service.tags ?? [];
  const expected = [
    [managedTag, wanted.prefix],
    [appTag, wanted.app],
    [environmentTag, wanted.environment],
  ] as const;
  const missing = expected.find(([key, value]) => tagOf(tags, key) !== value);
  if (missing) return `an ECS service that carries the tag ${missing[0]} = ${missing[1]}`;
  const controller = service.deploymentController?.type ?? 'ECS';
  if (controller !== 'ECS') return `an ECS service with the deployment controller ECS, not ${controller}`;
  if (service.schedulingStrategy === 'DAEMON') return 'an ECS service with the scheduling strategy REPLICA, not DAEMON';
  return undefined;
}

export function tagOf(tags: readonly Tag[] | undefined, key: string): string | undefined {
  return tags?.find((tag) => tag.key === key)?.value;
}

/** A `Problem` about one field of a target. */
export function wrong(field: string, expected: string): Problem {
  return new Problem('invalid', `targets.${field}: expected ${expected}`, {
    issues: [{ field: `targets.${field}`, expected }],
  });
}

/** The target groups behind which the service's tasks stand. */
export function targetGroupsOf(service: Service): readonly string[] {
  return [...new Set((service.loadBalancers ?? []).flatMap((entry) => entry.targetGroupArn ?? []))];
}
