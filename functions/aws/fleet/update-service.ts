import {
  type DeploymentConfiguration,
  type ECSClient,
  type Service,
  UpdateServiceCommand,
  type UpdateServiceCommandInput,
} from '@aws-sdk/client-ecs';
import type { RolloutPolicy } from '../../apps/schema.ts';
import { messageOf, Problem } from '../../runtime/errors.ts';
import { answered, isNamed } from '../client.ts';
import type { ServiceName } from './service.ts';

/**
 * The update that rolls a service to a task definition (ARN with its revision). Without `forceNewDeployment` an update
 * to what the service has already makes no deployment, so it may be repeated. The number of tasks is not ours here.
 */
export function rollInput(
  { cluster, service }: ServiceName,
  to: { readonly taskDefinition: string; readonly deploymentConfiguration?: DeploymentConfiguration },
): UpdateServiceCommandInput {
  return { cluster, service, ...to };
}

export function scaleInput({ cluster, service }: ServiceName, desiredCount: number): UpdateServiceCommandInput {
  return { cluster, service, desiredCount };
}

/**
 * How ECS is to roll: what the service's stack said (alarms, hooks, strategy), with the policy's percentages and its
 * circuit breaker. Sent whole, because what is left out of a part is not documented to stay. Pure.
 */
export function deploymentConfiguration(
  given: DeploymentConfiguration | undefined,
  policy: RolloutPolicy,
): DeploymentConfiguration {
  const percentages = {
    minimumHealthyPercent: policy.minimumHealthyPercent,
    maximumPercent: policy.maximumPercent,
  };
  const strategy = given?.strategy ?? 'ROLLING';
  // The circuit breaker is for rolling updates only; these fields are for all the others only.
  if (strategy !== 'ROLLING') return { ...given, ...percentages };
  const { bakeTimeInMinutes: _bake, linearConfiguration: _linear, canaryConfiguration: _canary, ...rest } = given ?? {};
  const { resetOnHealthyTask } = given?.deploymentCircuitBreaker ?? {};
  return {
    ...rest,
    ...percentages,
    deploymentCircuitBreaker: {
      enable: true,
      rollback: true,
      ...(resetOnHealthyTask !== undefined && { resetOnHealthyTask }),
      // A count and not ECS's default percentage: that is 3 failed tasks at the least, however small the service.
      thresholdConfiguration: { type: 'COUNT', value: policy.failureThreshold },
    },
  };
}

/**
 * What is wrong with percentages by which no task could ever be replaced; undefined when nothing is. ECS rounds the
 * minimum up and the maximum down. Pure.
 */
export function stuckIssue(desired: number, policy: RolloutPolicy): string | undefined {
  const min = Math.ceil((desired * policy.minimumHealthyPercent) / 100);
  const max = Math.floor((desired * policy.maximumPercent) / 100);
  if (desired === 0 || min < desired || max > desired) return undefined;
  return `percentages that let a task be replaced: with ${desired} wanted, at least ${min} must serve and at most ${max} may exist`;
}

/** Updates the service; what ECS refuses for good is a `Problem` with its words. */
export async function updateService(ecs: ECSClient, input: UpdateServiceCommandInput): Promise<Service | undefined> {
  const call = answered('ECS', ecs.send(new UpdateServiceCommand(input)));
  return (await orRefused(`the update of the service ${input.service}`, call)).service;
}

const refusals = [
  'AccessDeniedException',
  'ClientException',
  'ClusterNotFoundException',
  'InvalidParameterException',
  'PlatformTaskDefinitionIncompatibilityException',
  'PlatformUnknownException',
  'ServiceNotActiveException',
  'ServiceNotFoundException',
  'UnsupportedFeatureException',
];

/** A call's answer; asked again it would be refused again, so a person is told and nothing is tried anew. */
export async function orRefused<Output>(what: string, call: Promise<Output>): Promise<Output> {
  try {
    return await call;
  } catch (cause) {
    if (!isNamed(cause, ...refusals)) throw cause;
    throw new Problem('unsupported', `ECS refused ${what}: ${messageOf(cause)}`, { cause });
  }
}
