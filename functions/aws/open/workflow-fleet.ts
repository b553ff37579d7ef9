import { ECSClient } from '@aws-sdk/client-ecs';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { WorkflowPorts } from '../../ports/ports.ts';
import { quickCalls, slowCalls } from '../client.ts';
import { workflowFleet } from '../fleet/workflow-fleet.ts';
import { secretReferences } from '../secrets.ts';
import type { PlaceWithRecords } from './place.ts';

export function openWorkflowFleet({ records, prefix, bucket, clock }: PlaceWithRecords): WorkflowPorts['fleet'] {
  return workflowFleet({
    ecs: new ECSClient(slowCalls),
    loadBalancing: new ElasticLoadBalancingV2Client(slowCalls),
    secretReference: secretReferences({ client: new SecretsManagerClient(quickCalls), prefix }),
    registry: async () => (await import('./registry.ts')).openRegistry(),
    records,
    prefix,
    bucket,
    clock,
  });
}
