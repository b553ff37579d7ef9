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
import type { EpochMs } from '../runtime/units.ts';
import { answered, isNamed } from './client.ts';
import {
  describeExecutionInput,
  executionArn,
  startExecutionInput,
  stopExecutionInput,
  type InputName,
} from './workflow-requests.ts';

export type StateMachine = {
  readonly client: SFNClient;
  readonly stateMachineArn: string;
  /** What its executions are of, as their input calls it; default: deployments. */
  readonly inputName?: InputName;
  /** Between two looks at an execution that is ending; default 500. */
  readonly pauseMs?: number;
  /** Default: the machine's. */
  readonly clock?: () => EpochMs;
};

/** The service in the words of errors. */
export const workflowWords = 'The workflow service';

/** What is begun anew when its worker was lost, so often, has something else that is wrong. */
const maxRuns = 4096;
/** Past what was found, so many names are tried: what is described comes a little late. */
const maxTries = 8;
const maxLooks = 20;
/** Executions this process has started and that may not be described yet. */
const maxRemembered = 1000;

/** An execution as it is described; `endedAt` where that is told. */
type Run = { readonly isRunning: boolean; readonly endedAt?: EpochMs };
/** The last execution of a deployment or job. */
type Last = Run & { readonly run: number };

/**
 * How long after its end an execution is not begun anew. Whose step has a defect of ours fails again and again, and each
 * time costs: from the fifth run on 1, 2, 4, 8 and then 15 minutes. Pure.
 */
export function restartDelayMs(run: number): number {
  return run < 4 ? 0 : Math.min(15, 2 ** (run - 4)) * 60_000;
}

/** Starts, stops and looks after executions; at most one of a deployment or job runs. */
export function executions(machine: StateMachine): Pick<Workflow, 'start' | 'isRunning' | 'stop'> {
  const runs = runsOf(machine);
  return { ...startsIn(runs, machine), ...stopsIn(runs, machine) };
}

/** The same for who stops none: its role need not grant it. */
export function startExecutions(machine: StateMachine): Pick<Workflow, 'start' | 'isRunning'> {
  return startsIn(runsOf(machine), machine);
}

type Runs = ReturnType<typeof runsOf>;

function runsOf(machine: StateMachine) {
  const { client, stateMachineArn } = machine;
  const started = new Map<string, number>();

  /** Undefined when it does not exist. What this process has started runs, though it be not described yet. */
  async function findRun(id: string, run: number): Promise<Run | undefined> {
    try {
      const command = new DescribeExecutionCommand(describeExecutionInput(stateMachineArn, id, run));
      const { status, stopDate } = await answered(workflowWords, client.send(command));
      return { isRunning: status === 'RUNNING', ...(stopDate ? { endedAt: stopDate.getTime() } : {}) };
    } catch (error) {
      if (!isNamed(error, 'ExecutionDoesNotExist')) throw error;
      return started.get(id) === run ? { isRunning: true } : undefined;
    }
  }

  /** Executions are numbered without gaps and only the last can run: found in steps that double, then halve. */
  async function findLast(id: string): Promise<Last | undefined> {
    let low: Last | undefined;
    let high = 1;
    for (; high <= maxRuns; high *= 2) {
      const found = await findRun(id, high);
      if (!found) break;
      low = { ...found, run: high };
      if (found.isRunning) return low;
    }
    while (low && high - low.run > 1) {
      const run: number = Math.floor((low.run + high) / 2);
      const found = await findRun(id, run);
      if (found) low = { ...found, run };
      else high = run;
      if (found?.isRunning) return low;
    }
    return low;
  }

  /** False when an execution of that name has ended: the name is taken. */
  async function begin(id: string, run: number): Promise<boolean> {
    try {
      const command = new StartExecutionCommand(startExecutionInput(machine, id, run));
      await answered(workflowWords, client.send(command));
    } catch (cause) {
      if (isNamed(cause, 'ExecutionAlreadyExists')) return false;
      if (!isNamed(cause, 'ExecutionLimitExceeded')) throw cause;
      throw new Problem('busy', 'As many workflows run as Step Functions allows; try again', { cause });
    }
    started.delete(id);
    started.set(id, run);
    if (started.size > maxRemembered) started.delete(started.keys().next().value ?? '');
    return true;
  }

  return { begin, findLast, findRun, forget: (id: string) => void started.delete(id) };
}

function startsIn(
  { begin, findLast }: Runs,
  { clock = Date.now }: StateMachine,
): Pick<Workflow, 'start' | 'isRunning'> {
  return {
    /** Who starts at the same time tries the same names in the same order: one execution comes of it. */
    async start(id) {
      if (await begin(id, 1)) return;
      const { run, isRunning, endedAt = 0 } = (await findLast(id)) ?? { run: 1, isRunning: false };
      // Its end may be described late, or be too near: then nothing is begun now, and whoever reconciles asks again.
      // Never two at once.
      if (isRunning || clock() - endedAt < restartDelayMs(run)) return;
      for (let next = run + 1; next <= run + maxTries; next += 1) {
        if (await begin(id, next)) return;
      }
      throw new Problem('busy', 'The workflow cannot be begun anew right now; try again');
    },

    async isRunning(id) {
      return (await findLast(id))?.isRunning ?? false;
    },
  };
}

function stopsIn(runs: Runs, { client, stateMachineArn, pauseMs = 500 }: StateMachine): Pick<Workflow, 'stop'> {
  async function untilEnded(id: string, run: number): Promise<void> {
    for (let look = 0; look < maxLooks; look += 1) {
      if (!(await runs.findRun(id, run))?.isRunning) return;
      await pause(pauseMs);
    }
    throw new Problem('busy', 'The workflow is being stopped and has not ended yet; try again');
  }

  return {
    async stop(id, reason) {
      const last = await runs.findLast(id);
      if (!last?.isRunning) return;
      const arn = executionArn(stateMachineArn, id, last.run);
      try {
        await answered(workflowWords, client.send(new StopExecutionCommand(stopExecutionInput(arn, reason))));
      } catch (error) {
        if (!isNamed(error, 'ExecutionDoesNotExist')) throw error;
      }
      runs.forget(id);
      await untilEnded(id, last.run);
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
