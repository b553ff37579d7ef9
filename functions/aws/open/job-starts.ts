import { SFNClient } from '@aws-sdk/client-sfn';
import type { ReconcilePorts } from '../../ports/ports.ts';
import { slowCalls } from '../client.ts';
import { startExecutions } from '../executions.ts';
import type { Place } from './place.ts';

/** Whoever asks for a job starts it, and whoever reconciles starts it again. */
export function openJobStarts({
  jobMachineArn,
  clock,
}: Pick<Place, 'jobMachineArn' | 'clock'>): ReconcilePorts['jobs'] {
  const client = new SFNClient(slowCalls);
  return startExecutions({ client, stateMachineArn: jobMachineArn, inputName: 'jobId', clock });
}
