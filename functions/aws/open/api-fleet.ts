import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { ECSClient } from '@aws-sdk/client-ecs';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { ApiPorts } from '../../ports/ports.ts';
import { quickCalls, slowCalls } from '../client.ts';
import { apiFleet } from '../fleet/api-fleet.ts';
import type { PlaceWithRecords } from './place.ts';

export function openApiFleet({ records, prefix, clock }: PlaceWithRecords): ApiPorts['fleet'] {
  return apiFleet({
    ecs: new ECSClient(slowCalls),
    loadBalancing: new ElasticLoadBalancingV2Client(slowCalls),
    logs: new CloudWatchLogsClient(quickCalls),
    records,
    prefix,
    clock,
  });
}
