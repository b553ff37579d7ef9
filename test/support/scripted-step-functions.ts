import { randomUUID } from 'node:crypto';
import { awsError, type AwsScript } from './scripted-aws.ts';

/** A state machine whose executions wait for one answer and end with it. */
export const scriptedMachineArn = 'arn:aws:states:eu-central-1:123456789012:stateMachine:sluice-deploy';

export type ScriptedExecution = {
  readonly arn: string;
  readonly deploymentId: string;
  readonly input: string;
  readonly token: string;
  status: 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'ABORTED';
  stoppedAt?: Date;
  end: { readonly answer: unknown } | { readonly error: string; readonly cause: string } | undefined;
};

/** What happens around a call: each may throw, as a network or a service does. */
export type Faults = {
  before?: ((operation: string, input: Record<string, unknown>) => void) | undefined;
  /** The call was carried out; its answer may be lost. */
  after?: ((operation: string) => void) | undefined;
};

/**
 * Step Functions with the rules that its API reference states: a name is taken for 90 days, a start with name and input
 * of a running execution is answered as the first was, a token serves once.
 * https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
 * https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html
 */
export function scriptedStepFunctions() {
  const executions = new Map<string, ScriptedExecution>();
  const faults: Faults = {};
  const calls: string[] = [];
  /** Executions started since then are not described yet. */
  const hidden = new Set<string>();
  let machineStatus = 'ACTIVE';

  type Operation = (input: Record<string, string>) => object;
  const operations: Readonly<Record<string, Operation>> = {
    StartExecution({ stateMachineArn = '', name = '', input = '' }) {
      if (stateMachineArn !== scriptedMachineArn) throw awsError('StateMachineDoesNotExist');
      if (/[\s<>{}[\]?*"#%\\^|~`$&,;:/]/.test(name) || name.length > 80) throw awsError('InvalidName');
      const arn = `${stateMachineArn.replace(':stateMachine:', ':execution:')}:${name}`;
      const known = executions.get(arn);
      if (known && (known.status !== 'RUNNING' || known.input !== input)) throw awsError('ExecutionAlreadyExists');
      const { deploymentId } = JSON.parse(input) as { deploymentId: string };
      const token = `token-${randomUUID()}`;
      if (!known) executions.set(arn, { arn, deploymentId, input, token, status: 'RUNNING', end: undefined });
      return { executionArn: arn, startDate: new Date() };
    },
    DescribeExecution({ executionArn = '' }) {
      const found = executions.get(executionArn);
      if (!found || hidden.has(executionArn)) throw awsError('ExecutionDoesNotExist');
      const { status, stoppedAt: stopDate } = found;
      return { executionArn, stateMachineArn: scriptedMachineArn, status, startDate: new Date(), stopDate };
    },
    StopExecution({ executionArn = '' }) {
      const found = executions.get(executionArn);
      if (!found) throw awsError('ExecutionDoesNotExist');
      if (found.status === 'RUNNING') found.status = 'ABORTED';
      return { stopDate: new Date() };
    },
    SendTaskSuccess({ taskToken = '', output = '' }) {
      const found = waiting(taskToken);
      found.status = 'SUCCEEDED';
      found.end = { answer: JSON.parse(output) as unknown };
      return {};
    },
    SendTaskFailure({ taskToken = '', error = '', cause = '' }) {
      const found = waiting(taskToken);
      found.status = error === 'Cancelled' ? 'SUCCEEDED' : 'FAILED';
      found.end = { error, cause };
      return {};
    },
    DescribeStateMachine({ stateMachineArn = '' }) {
      if (stateMachineArn !== scriptedMachineArn) throw awsError('StateMachineDoesNotExist');
      return { stateMachineArn, name: 'sluice-deploy', status: machineStatus };
    },
  };

  function waiting(token: string): ScriptedExecution {
    const found = [...executions.values()].find((execution) => execution.token === token);
    if (!found) throw awsError('InvalidToken', `Invalid Token: '${token}'`);
    if (found.status !== 'RUNNING') throw awsError('TaskTimedOut', `Task Timed Out: 'Provided task does not exist'`);
    return found;
  }

  const script: AwsScript = (operation, input: Record<string, string>) => {
    calls.push(operation);
    faults.before?.(operation, input);
    const perform = operations[operation];
    if (!perform) throw new Error(`Nobody scripted ${operation}`);
    const output = perform(input);
    faults.after?.(operation);
    return output;
  };
  const of = (deploymentId: string) => [...executions.values()].filter((found) => found.deploymentId === deploymentId);
  return {
    script,
    faults,
    calls,
    hidden,
    executions,
    of,
    setMachineStatus: (status: string) => void (machineStatus = status),
  };
}
