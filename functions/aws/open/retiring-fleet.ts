import { ECSClient } from '@aws-sdk/client-ecs';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { ReconcilePorts } from '../../ports/ports.ts';
import { slowCalls } from '../client.ts';
import { reconcileFleet } from '../fleet/reconcile-fleet.ts';
import type { PlaceWithRecords } from './place.ts';

/** Ends what an app that is deleted still runs, however long it drains. */
export function openRetiringFleet({ records, prefix, clock }: PlaceWithRecords): ReconcilePorts['fleet'] {
  return reconcileFleet({
    ecs: new ECSClient(slowCalls),
    loadBalancing: new ElasticLoadBalancingV2Client(slowCalls),
    records,
    prefix,
    clock,
    // It comes again in a minute, so it does not wait for what drains.
    waitSeconds: 0,
  });
}
