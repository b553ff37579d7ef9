import { SFNClient } from '@aws-sdk/client-sfn';
import type { ReconcilePorts } from '../../ports/ports.ts';
import { slowCalls } from '../client.ts';
import { executions } from '../executions.ts';
import { answerTokens } from '../task-tokens.ts';
import type { Place } from './place.ts';

/** Starts, stops and answers; only readiness is nobody's question here. */
export function openWholeWorkflow({
  stateMachineArn,
  clock,
}: Pick<Place, 'stateMachineArn' | 'clock'>): ReconcilePorts['workflow'] {
  const client = new SFNClient(slowCalls);
  return { ...executions({ client, stateMachineArn, clock }), ...answerTokens(client) };
}
