import {
  type ECSClient,
  StopServiceDeploymentCommand,
  type StopServiceDeploymentCommandInput,
} from '@aws-sdk/client-ecs';
import type { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { Records, Stored } from '../../ports/records.ts';
import { Problem } from '../../runtime/errors.ts';
import type { EpochMs } from '../../runtime/units.ts';
import { answered, isNamed } from '../client.ts';
import { replaceRollout, type RevertingRecord } from './rollout-record.ts';
import { rollInput, updateService } from './update-service.ts';

/** What rollouts are made with; the clients are the caller's. */
export type RollingParts = {
  readonly ecs: ECSClient;
  readonly loadBalancing: ElasticLoadBalancingV2Client;
  readonly records: Records;
  readonly clock: () => EpochMs;
};

/** https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stop-service-deployment.html */
export function stopInput(serviceDeploymentArn: string): StopServiceDeploymentCommandInput {
  return { serviceDeploymentArn, stopType: 'ROLLBACK' };
}

/**
 * Tells ECS to put back what a rollout changed, and writes down that it was told. Both ways may be gone twice: a
 * deployment that rolls back goes on doing so, and an update to what is there changes nothing. Answers with why ECS
 * refused for good; undefined when it did not, or when somebody else wrote meanwhile.
 */
export async function askForUndoing(parts: RollingParts, stored: Stored<RevertingRecord>): Promise<string | undefined> {
  const { value: record } = stored;
  const { undoing, deployment } = record;
  const byRollback = undoing.by === 'rollback' && deployment !== undefined;
  try {
    if (byRollback) await stopDeployment(parts.ecs, deployment);
    else await updateService(parts.ecs, rollInput(record, { taskDefinition: record.before }));
  } catch (error) {
    if (error instanceof Problem && error.kind === 'unsupported') return error.message;
    throw error;
  }
  const by = byRollback ? 'rollback' : 'update';
  await replaceRollout(parts.records, stored, { ...record, undoing: { ...undoing, by, askedAt: parts.clock() } });
  return undefined;
}

/** One that has ended meanwhile is refused; the next look at it says how it ended, and what remains to be done. */
async function stopDeployment(ecs: ECSClient, arn: string): Promise<void> {
  try {
    await answered('ECS', ecs.send(new StopServiceDeploymentCommand(stopInput(arn))));
  } catch (error) {
    const refused = ['ConflictException', 'InvalidParameterException', 'ClientException'];
    if (!isNamed(error, ...refused, 'ServiceDeploymentNotFoundException')) throw error;
  }
}
