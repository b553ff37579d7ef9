import { SFNClient } from '@aws-sdk/client-sfn';
import type { WorkflowPorts } from '../../ports/ports.ts';
import { slowCalls } from '../client.ts';
import { startExecutions } from '../executions.ts';
import { answerTokens } from '../task-tokens.ts';
import type { Place } from './place.ts';

export function openStepWorkflow({
  stateMachineArn,
  clock,
}: Pick<Place, 'stateMachineArn' | 'clock'>): WorkflowPorts['workflow'] {
  const client = new SFNClient(slowCalls);
  return { ...startExecutions({ client, stateMachineArn, clock }), ...answerTokens(client) };
}
