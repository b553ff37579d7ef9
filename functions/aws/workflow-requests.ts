import type {
  DescribeExecutionCommandInput,
  SendTaskFailureCommandInput,
  SendTaskSuccessCommandInput,
  StartExecutionCommandInput,
  StopExecutionCommandInput,
} from '@aws-sdk/client-sfn';
import { Problem } from '../runtime/errors.ts';

/**
 * What is asked of Step Functions, as pure values, and what executions are called. The first execution of a deployment
 * or job has its id for its name, the later ones `<id>-2`, `<id>-3` …: a name is taken for 90 days, also after its
 * execution has ended.
 * https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
 */
export function executionName(id: string, run: number): string {
  return run === 1 ? id : `${id}-${run}`;
}

/** What the input of an execution calls its id: of `deploy.asl.json`, of `job.asl.json`. */
export type InputName = 'deploymentId' | 'jobId';

/**
 * The deployment and the number of its execution, from an execution's ARN or name; undefined for one that is not ours,
 * such as one that a person started in the console. Deployment ids are UUIDs.
 */
export function parseExecutionName(
  arnOrName: string,
): { readonly deploymentId: string; readonly run: number } | undefined {
  const name = arnOrName.slice(arnOrName.lastIndexOf(':') + 1);
  const [, deploymentId, run] = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-([1-9]\d{0,8}))?$/.exec(name) ?? [];
  if (deploymentId === undefined || run === '1') return undefined;
  return { deploymentId, run: run === undefined ? 1 : Number(run) };
}

/** `arn:aws:states:eu-central-1:123456789012:stateMachine:sluice-deploy` → `…:execution:sluice-deploy:<name>` */
export function executionArn(stateMachineArn: string, id: string, run: number): string {
  return `${stateMachineArn.replace(':stateMachine:', ':execution:')}:${executionName(id, run)}`;
}

/** Name and input alike make a repeated start harmless while the execution runs. */
export function startExecutionInput(
  machine: { readonly stateMachineArn: string; readonly inputName?: InputName },
  id: string,
  run: number,
): StartExecutionCommandInput {
  const { stateMachineArn, inputName = 'deploymentId' } = machine;
  return { stateMachineArn, name: executionName(id, run), input: JSON.stringify({ [inputName]: id }) };
}

export function describeExecutionInput(
  stateMachineArn: string,
  id: string,
  run: number,
): DescribeExecutionCommandInput {
  // What it was given and what it answered is not asked for.
  return { executionArn: executionArn(stateMachineArn, id, run), includedData: 'METADATA_ONLY' };
}

export function stopExecutionInput(arn: string, reason: string): StopExecutionCommandInput {
  return { executionArn: arn, error: 'Stopped', cause: cut(reason, maxCauseCharacters) };
}

const maxOutputBytes = 256 * 1024;
const maxCauseCharacters = 32_768;

/** Throws `Problem('too-large')` past the 256 KiB that a state may answer. */
export function taskSuccessInput(
  taskToken: string,
  output: Readonly<Record<string, unknown>>,
): SendTaskSuccessCommandInput {
  const json = JSON.stringify(output);
  if (Buffer.byteLength(json) > maxOutputBytes) {
    throw new Problem('too-large', 'The answer to a waiting state is larger than 256 KiB');
  }
  return { taskToken, output: json };
}

/** `name` is what the definition's Catch matches; a reason too long is cut. */
export function taskFailureInput(
  taskToken: string,
  { name, reason }: { readonly name: string; readonly reason: string },
): SendTaskFailureCommandInput {
  return { taskToken, error: cut(name, 256), cause: cut(reason, maxCauseCharacters) };
}

function cut(text: string, max: number): string {
  return text.slice(0, max).toWellFormed();
}
