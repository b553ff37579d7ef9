import {
  DescribeServiceDeploymentsCommand,
  DescribeServiceRevisionsCommand,
  type ECSClient,
  ListServiceDeploymentsCommand,
  type ListServiceDeploymentsCommandInput,
  type ServiceDeployment,
  type ServiceDeploymentBrief,
} from '@aws-sdk/client-ecs';
import type { EpochMs } from '../../runtime/units.ts';
import { answered, isNamed } from '../client.ts';
import type { ServiceName } from './service.ts';

/** Our clock and AWS's may differ by this much; what is found too much is told apart by its task definition. */
const skewMs = 5 * 60_000;

/** The newest service deployments since a time; AWS looks back 90 days at most. */
export function listDeploymentsInput(
  { cluster, service }: ServiceName,
  since: EpochMs,
): ListServiceDeploymentsCommandInput {
  return { cluster, service, createdAt: { after: new Date(since - skewMs) }, maxResults: 20 };
}

/**
 * The ARN of the service deployment that brings a task definition; undefined while it does not show (what ECS did is
 * seen by later calls after a while only). `UpdateService` does not name the deployment it makes:
 * https://github.com/aws/containers-roadmap/issues/2709
 */
export async function findDeployment(
  ecs: ECSClient,
  name: ServiceName,
  wanted: { readonly taskDefinition: string; readonly since: EpochMs },
): Promise<string | undefined> {
  const list = new ListServiceDeploymentsCommand(listDeploymentsInput(name, wanted.since));
  const { serviceDeployments = [] } = await answered('ECS', ecs.send(list)).catch(noneOfNoService);
  const serviceRevisionArns = [...new Set(serviceDeployments.flatMap((entry) => entry.targetServiceRevisionArn ?? []))];
  if (serviceRevisionArns.length === 0) return undefined;
  const revisions = await answered('ECS', ecs.send(new DescribeServiceRevisionsCommand({ serviceRevisionArns })));
  const ours = new Set(
    (revisions.serviceRevisions ?? [])
      .filter(({ taskDefinition }) => taskDefinition === wanted.taskDefinition)
      .map(({ serviceRevisionArn }) => serviceRevisionArn),
  );
  return serviceDeployments.find((entry) => ours.has(entry.targetServiceRevisionArn))?.serviceDeploymentArn;
}

/** A service that was deleted has none; who looks at the service says so. */
function noneOfNoService(error: unknown): { readonly serviceDeployments?: ServiceDeploymentBrief[] } {
  if (isNamed(error, 'ServiceNotFoundException', 'ClusterNotFoundException')) return {};
  throw error;
}

export async function describeDeployment(ecs: ECSClient, arn: string): Promise<ServiceDeployment | undefined> {
  const call = ecs.send(new DescribeServiceDeploymentsCommand({ serviceDeploymentArns: [arn] }));
  return (await answered('ECS', call)).serviceDeployments?.[0];
}
