import { setTimeout as wait } from 'node:timers/promises';
import type { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { type ECSClient, ListClustersCommand } from '@aws-sdk/client-ecs';
import type { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { ApiPorts } from '../../ports/ports.ts';
import type { Records } from '../../ports/records.ts';
import type { EpochMs } from '../../runtime/units.ts';
import { answered } from '../client.ts';
import { readTargetLogs } from './logs.ts';
import { retireTarget } from './retire.ts';
import { scaleTarget } from './scale.ts';
import { viewTarget } from './view.ts';

export type ApiFleetOptions = {
  readonly ecs: ECSClient;
  readonly loadBalancing: ElasticLoadBalancingV2Client;
  readonly logs: CloudWatchLogsClient;
  readonly records: Records;
  readonly prefix: string;
  readonly clock: () => EpochMs;
  /** Waits between two looks at what drains; tests give their own. */
  readonly wait?: (ms: number) => Promise<unknown>;
};

/** The Fleet port as the API asks it: what runs, how many, what it prints; it rolls nothing. */
export function apiFleet(options: ApiFleetOptions): ApiPorts['fleet'] {
  const waiting = async (ms: number) => void (await (options.wait ?? wait)(ms));
  return {
    view: async (ref) => await viewTarget(options, ref),
    scale: async (ref, desiredCount) => await scaleTarget(options, ref, desiredCount),
    retire: async (ref) => await retireTarget({ ...options, wait: waiting, waitSeconds: 12 }, ref),
    logs: async (ref, query) => await readTargetLogs(options, ref, query),
    ready: async () => void (await answered('ECS', options.ecs.send(new ListClustersCommand({ maxResults: 1 })))),
  };
}
