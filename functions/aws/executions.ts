import { setTimeout as pause } from 'node:timers/promises';
import {
  DescribeExecutionCommand,
  DescribeStateMachineCommand,
  StartExecutionCommand,
  StopExecutionCommand,
  type SFNClient,
} from '@aws-sdk/client-sfn';
import type { Workflow } from '../ports/workflow.ts';
import { Problem } from '../runtime/errors.ts';
import { answered, isNamed } from './client.ts';
import { describeExecutionInput, executionArn, startExecutionInput, stopExecutionInput } from './workflow-requests.ts';

export type StateMachine = {
  readonly client: SFNClient;
  readonly stateMachineArn: string;
  /** Between two looks at an execution that is ending; default 500. */
  readonly pauseMs?: number;
};

/** The service in the words of errors. */
export const workflowWords = 'The workflow service';

/** A deployment is begun anew when its worker was lost; one that was so often has something else that is wrong. */
const maxRuns = 4096;
/** Past what was found, so many names are tried: what is described comes a little late. */
const maxTries = 8;
const maxLooks = 20;
/** Executions this process has started and that may not be described yet. */
const maxRemembered = 1000;

/** The last execution of a deployment. */
type Last = { readonly run: number; readonly isRunning: boolean };

/** Starts, stops and looks after executions; at most one of a deployment runs. */
export function executions(machine: StateMachine): Pick<Workflow, 'start' | 'isRunning' | 'stop'> {
  const runs = runsOf(machine);
  return { ...startsIn(runs), ...stopsIn(runs, machine) };
}

/** The same for who stops none: its role need not grant it. */
export function startExecutions(machine: StateMachine): Pick<Workflow, 'start' | 'isRunning'> {
  return startsIn(runsOf(machine));
}

type Runs = ReturnType<typeof runsOf>;

function runsOf({ client, stateMachineArn }: StateMachine) {
  const started = new Map<string, number>();

  /** Undefined when it does not exist. What this process has started runs, though it be not described yet. */
  async function isRunningRun(deploymentId: string, run: number): Promise<boolean | undefined> {
    try {
      const command = new DescribeExecutionCommand(describeExecutionInput(stateMachineArn, deploymentId, run));
      const { status } = await answered(workflowWords, client.send(command));
      return status === 'RUNNING';
    } catch (error) {
      if (!isNamed(error, 'ExecutionDoesNotExist')) throw error;
      return started.get(deploymentId) === run ? true : undefined;
    }
  }

  /** Executions are numbered without gaps and only the last can run: found in steps that double, then halve. */
  async function findLast(deploymentId: string): Promise<Last | undefined> {
    let low: Last | undefined;
    let high = 1;
    for (; high <= maxRuns; high *= 2) {
      const isRunning = await isRunningRun(deploymentId, high);
      if (isRunning) return { run: high, isRunning };
      if (isRunning === undefined) break;
      low = { run: high, isRunning };
    }
    while (low && high - low.run > 1) {
      const run: number = Math.floor((low.run + high) / 2);
      const isRunning = await isRunningRun(deploymentId, run);
      if (isRunning) return { run, isRunning };
      if (isRunning === undefined) high = run;
      else low = { run, isRunning };
    }
    return low;
  }

  /** False when an execution of that name has ended: the name is taken. */
  async function begin(deploymentId: string, run: number): Promise<boolean> {
    try {
      const command = new StartExecutionCommand(startExecutionInput(stateMachineArn, deploymentId, run));
      await answered(workflowWords, client.send(command));
    } catch (cause) {
      if (isNamed(cause, 'ExecutionAlreadyExists')) return false;
      if (!isNamed(cause, 'ExecutionLimitExceeded')) throw cause;
      throw new Problem('busy', 'As many workflows run as Step Functions allows; try again', { cause });
    }
    started.delete(deploymentId);
    started.set(deploymentId, run);
    if (started.size > maxRemembered) started.delete(started.keys().next().value ?? '');
    return true;
  }

  return { begin, findLast, isRunningRun, forget: (deploymentId: string) => void started.delete(deploymentId) };
}

function startsIn({ begin, findLast }: Runs): Pick<Workflow, 'start' | 'isRunning'> {
  return {
    /** Who starts at the same time tries the same names in the same order: one execution comes of it. */
    async start(deploymentId) {
      if (await begin(deploymentId, 1)) return;
      const { run = 1, isRunning = false } = (await findLast(deploymentId)) ?? {};
      // Its end may be described late: then nothing is begun now, and whoever reconciles asks again. Never two at once.
      if (isRunning) return;
      for (let next = run + 1; next <= run + maxTries; next += 1) {
        if (await begin(deploymentId, next)) return;
      }
      throw new Problem('busy', 'The workflow cannot be begun anew right now; try again');
    },

    async isRunning(deploymentId) {
      return (await findLast(deploymentId))?.isRunning ?? false;
    },
  };
}

function stopsIn(runs: Runs, { client, stateMachineArn, pauseMs = 500 }: StateMachine): Pick<Workflow, 'stop'> {
  async function untilEnded(deploymentId: string, run: number): Promise<void> {
    for (let look = 0; look < maxLooks; look += 1) {
      if (!(await runs.isRunningRun(deploymentId, run))) return;
      await pause(pauseMs);
    }
    throw new Problem('busy', 'The workflow is being stopped and has not ended yet; try again');
  }

  return {
    async stop(deploymentId, reason) {
      const last = await runs.findLast(deploymentId);
      if (!last?.isRunning) return;
      const arn = executionArn(stateMachineArn, deploymentId, last.run);
      try {
        await answered(workflowWords, client.send(new StopExecutionCommand(stopExecutionInput(arn, reason))));
      } catch (error) {
        if (!isNamed(error, 'ExecutionDoesNotExist')) throw error;
      }
      runs.forget(deploymentId);
      await untilEnded(deploymentId, last.run);
    },
  };
}

/** Whether executions can be started. */
export function readyToRun({ client, stateMachineArn }: StateMachine): Pick<Workflow, 'ready'> {
  return {
    async ready() {
      const command = new DescribeStateMachineCommand({ stateMachineArn, includedData: 'METADATA_ONLY' });
      const { status } = await answered(workflowWords, client.send(command));
      if (status !== 'ACTIVE') throw new Error(`The state machine is ${status ?? 'of no known state'}`);
    },
  };
}
