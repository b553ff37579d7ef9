import { randomUUID } from 'node:crypto';
import { StateMachine } from 'aws-local-stepfunctions';
import type { readDefinition } from '../../local/workflow.ts';
import { awsError, type AwsScript } from './scripted-aws.ts';
import type { VirtualTime } from './virtual-time.ts';

type Json = Readonly<Record<string, unknown>>;
type Definition = Awaited<ReturnType<typeof readDefinition>>;
type States = Definition['States'];
type Execution = {
  readonly input: string;
  status: 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'ABORTED';
  abort: () => void;
  /** Once all that happened in it was counted. */
  done: Promise<void>;
};
type Waiting = { readonly execution: string; readonly answer: PromiseWithResolvers<unknown> };

export type StateMachineOptions = {
  readonly arn: string;
  readonly definition: Definition;
  readonly time: VirtualTime;
  /** The Lambda function; what it throws, it fails with. */
  readonly invoke: (payload: Json) => Promise<unknown>;
  /** `codebuild:startBuild.sync`; throws `TaskError`. */
  readonly build: (input: Json) => Promise<unknown>;
  readonly onEnd?: (execution: { readonly arn: string; readonly status: string; readonly startedAt: number }) => void;
};

/** What a service answers a state with that failed: its `Error`, and its `Cause`. */
export class TaskError extends Error {
  constructor(name: string, cause: string) {
    super(cause);
    this.name = name;
  }
}

/** What Step Functions keeps of a state's input or output. https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html */
const maxPayloadBytes = 256 * 1024;
/** Past every test, in the seconds of the machine. */
const never = 1_000_000;
/** How a handler is told the time-out that a state takes from its input, which it does not see. */
const timeoutParameter = 'TimeoutOfInput';

/**
 * Step Functions by the documented shapes of its API, running a definition in aws-local-stepfunctions, which takes its
 * time from the machine's clock: so a state that waits is made to wait by a scripted one (`runnable`), and a state is
 * tried again at once. Counted is what AWS charges: "a state transition each time a step of your workflow is executed",
 * "including retries"; the iterations of an inline Map are not charged themselves, their states are.
 * https://aws.amazon.com/step-functions/pricing/
 * https://docs.aws.amazon.com/step-functions/latest/dg/concepts-transitions.html
 */
export function scriptedStateMachine(options: StateMachineOptions) {
  const { arn: machineArn, time } = options;
  const machine = new StateMachine(runnable(options.definition), { validationOptions: { noValidate: true } });
  const executions = new Map<string, Execution>();
  const waiting = new Map<string, Waiting>();
  const answered = new Set<string>();
  /** How often each state was entered or tried again. */
  const entered = new Map<string, number>();

  async function invoke(payload: Json): Promise<unknown> {
    const text = JSON.stringify(payload);
    if (Buffer.byteLength(text) > maxPayloadBytes) throw new TaskError('States.DataLimitExceeded', 'too large');
    try {
      const answer: unknown = await time.work(async () => await options.invoke(JSON.parse(text) as Json));
      return { ExecutedVersion: '1', Payload: JSON.parse(JSON.stringify(answer)) as unknown, StatusCode: 200 };
    } catch (error) {
      const { name, message } = error as Error;
      throw new TaskError(name, JSON.stringify({ errorType: name, errorMessage: message, trace: [] }));
    }
  }

  async function awaitToken(execution: string, payload: Json, timeoutSeconds: number): Promise<unknown> {
    const token = `token-${randomUUID()}`;
    const answer = Promise.withResolvers<unknown>();
    answer.promise.catch(() => {});
    waiting.set(token, { execution, answer });
    const close = () => {
      waiting.delete(token);
      answered.add(token);
    };
    const timer = time.after(timeoutSeconds * 1000, () => {
      close();
      answer.reject(new TaskError('States.Timeout', ''));
    });
    try {
      await invoke({ ...payload, token });
      return await answer.promise;
    } finally {
      timer.cancel();
      close();
    }
  }

  function handlersOf(execution: string) {
    // The library types what a handler takes and answers as `any`.
    // oxlint-disable-next-line typescript/no-explicit-any
    const handlers: Record<string, (input: any) => Promise<any>> = {};
    visit(options.definition.States, (name, state) => {
      if (state.Type === 'Wait') {
        handlers[name] = async ({ seconds }: { seconds: number }) =>
          await new Promise<void>((resolve) => time.after(seconds * 1000, resolve));
      }
      if (state.Type !== 'Task') return;
      const { Resource: resource, TimeoutSeconds: seconds = never } = state;
      handlers[name] = async (input: { readonly Payload: Json; readonly [timeoutParameter]?: number }) => {
        if (resource === 'arn:aws:states:::lambda:invoke') return await invoke(input.Payload);
        if (resource === 'arn:aws:states:::lambda:invoke.waitForTaskToken')
          return await awaitToken(execution, input.Payload, input[timeoutParameter] ?? seconds);
        if (resource === 'arn:aws:states:::codebuild:startBuild.sync') return await options.build(input);
        throw new Error(`Nobody scripted ${resource}`);
      };
    });
    return handlers;
  }

  function start(arn: string, input: string): void {
    const startedAt = time.now();
    const execution: Execution = { input, status: 'RUNNING', abort: () => {}, done: Promise.resolve() };
    executions.set(arn, execution);
    const handlers = handlersOf(arn);
    const run = async () => {
      // Whoever started it is answered first.
      await time.work(async () => await new Promise((resolve) => setImmediate(resolve)));
      const { result, abort, eventLogs } = machine.run(JSON.parse(input) as { deploymentId: string }, {
        context: { Execution: { Name: arn.slice(arn.lastIndexOf(':') + 1) }, Task: { Token: '' } },
        overrides: {
          taskResourceLocalHandlers: handlers,
          retryIntervalOverrides: Object.fromEntries(Object.keys(handlers).map((name) => [name, 0])),
        },
      });
      execution.abort = abort;
      const counted = count(eventLogs);
      try {
        await result;
        execution.status = 'SUCCEEDED';
      } catch {
        if (execution.status === 'RUNNING') execution.status = 'FAILED';
      }
      await counted;
      options.onEnd?.({ arn, status: execution.status, startedAt });
    };
    execution.done = run();
  }

  async function count(logs: ReturnType<StateMachine['run']>['eventLogs']): Promise<void> {
    for await (const event of logs) {
      if (event.type !== 'StateEntered' && event.type !== 'StateRetried') continue;
      entered.set(event.state.name, (entered.get(event.state.name) ?? 0) + 1);
    }
  }

  /** https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html */
  function taken(token: string): Waiting {
    const found = waiting.get(token);
    waiting.delete(token);
    if (found) answered.add(token);
    else if (answered.has(token)) throw awsError('TaskTimedOut', "Task Timed Out: 'Provided task does not exist'");
    else throw awsError('InvalidToken', 'Invalid Token');
    return found;
  }

  function stop(arn: string): void {
    const found = executions.get(arn);
    if (!found) throw awsError('ExecutionDoesNotExist');
    if (found.status !== 'RUNNING') return;
    found.status = 'ABORTED';
    found.abort();
    for (const [token, { execution, answer }] of waiting) {
      if (execution !== arn) continue;
      waiting.delete(token);
      answered.add(token);
      answer.reject(new TaskError('Aborted', ''));
    }
  }

  const operations: Readonly<Record<string, (input: Record<string, string>) => object>> = {
    StartExecution({ stateMachineArn = '', name = '', input = '' }) {
      if (stateMachineArn !== machineArn) throw awsError('StateMachineDoesNotExist');
      const arn = `${machineArn.replace(':stateMachine:', ':execution:')}:${name}`;
      const known = executions.get(arn);
      if (known && (known.status !== 'RUNNING' || known.input !== input)) throw awsError('ExecutionAlreadyExists');
      if (!known) start(arn, input);
      return { executionArn: arn, startDate: new Date(time.now()) };
    },
    DescribeExecution({ executionArn = '' }) {
      const found = executions.get(executionArn);
      if (!found) throw awsError('ExecutionDoesNotExist');
      return { executionArn, stateMachineArn: machineArn, status: found.status, startDate: new Date(time.now()) };
    },
    StopExecution({ executionArn = '' }) {
      stop(executionArn);
      return { stopDate: new Date(time.now()) };
    },
    SendTaskSuccess({ taskToken = '', output = '' }) {
      taken(taskToken).answer.resolve(JSON.parse(output));
      return {};
    },
    SendTaskFailure({ taskToken = '', error = '', cause = '' }) {
      taken(taskToken).answer.reject(new TaskError(error, cause));
      return {};
    },
    DescribeStateMachine: () => ({ stateMachineArn: machineArn, status: 'ACTIVE' }),
  };

  const script: AwsScript = (operation, input: Record<string, string>) => {
    const perform = operations[operation];
    if (!perform) throw new Error(`Nobody scripted ${operation}`);
    return perform(input);
  };
  return {
    script,
    executions,
    entered,
    transitions: () => [...entered.values()].reduce((sum, times) => sum + times, 0),
    /** Ends an execution where it stands, and nobody is asked. */
    lose: stop,
    close: async () => {
      for (const arn of executions.keys()) stop(arn);
      await Promise.all([...executions.values()].map(({ done }) => done));
    },
  };
}

type State = States[string];

function visit(states: States, see: (name: string, state: State) => void): void {
  for (const [name, state] of Object.entries(states)) {
    see(name, state);
    if (state.Type === 'Map' && state.ItemProcessor) visit(state.ItemProcessor.States, see);
  }
}

/** The definition whose states wait for whoever the handlers say, and for no clock of the machine's. */
function runnable(definition: Definition): Definition {
  const copy = structuredClone(definition);
  const change = (states: Record<string, State>): void => {
    for (const [name, state] of Object.entries(states)) {
      if (state.Type === 'Map' && state.ItemProcessor) change(state.ItemProcessor.States);
      if (state.Type === 'Task') states[name] = withoutTimeout(state);
      if (state.Type === 'Wait') states[name] = asTask(state);
    }
  };
  change(copy.States);
  return copy;
}

/** A path is one of the state's input, and not of its parameters, which Step Functions makes of the input later. */
function withoutTimeout(task: Extract<State, { Type: 'Task' }>): State {
  const { TimeoutSecondsPath: path, ...rest } = task;
  const told = path === undefined ? {} : { [`${timeoutParameter}.$`]: path };
  return { ...rest, Parameters: { ...(rest.Parameters as object), ...told }, TimeoutSeconds: never };
}

function asTask(wait: Extract<State, { Type: 'Wait' }>): State {
  const {
    SecondsPath: path,
    Seconds: seconds,
    Next: next,
  } = wait as {
    SecondsPath?: string;
    Seconds?: number;
    Next?: string;
  };
  return {
    Type: 'Task',
    Resource: 'arn:aws:states:::wait',
    Parameters: path === undefined ? { seconds } : { 'seconds.$': path },
    ResultPath: null,
    TimeoutSeconds: never,
    ...(next === undefined ? { End: true } : { Next: next }),
  } as State;
}
