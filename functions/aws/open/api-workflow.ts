import { SFNClient } from '@aws-sdk/client-sfn';
import type { ApiPorts } from '../../ports/ports.ts';
import { slowCalls } from '../client.ts';
import { readyToRun, startExecutions } from '../executions.ts';
import { answerTokens } from '../task-tokens.ts';
import type { Place } from './place.ts';

export function openApiWorkflow({
  stateMachineArn,
  clock,
}: Pick<Place, 'stateMachineArn' | 'clock'>): ApiPorts['workflow'] {
  const machine = { client: new SFNClient(slowCalls), stateMachineArn, clock };
  return { ...startExecutions(machine), ...answerTokens(machine.client), ...readyToRun(machine) };
}
