import { SFNClient } from '@aws-sdk/client-sfn';
import type { EventPorts } from '../../ports/ports.ts';
import { slowCalls } from '../client.ts';
import { startExecutions } from '../executions.ts';
import { resumeTokens } from '../task-tokens.ts';
import type { Place } from './place.ts';

export function openEventWorkflow({
  stateMachineArn,
  clock,
}: Pick<Place, 'stateMachineArn' | 'clock'>): EventPorts['workflow'] {
  const client = new SFNClient(slowCalls);
  return { ...startExecutions({ client, stateMachineArn, clock }), ...resumeTokens(client) };
}
