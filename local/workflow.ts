import { readFile } from 'node:fs/promises';
import { StateMachine } from 'aws-local-stepfunctions';
import type { Builder, BuildObservation, BuildRequest } from '../functions/ports/builder.ts';
import type { Workflow } from '../functions/ports/workflow.ts';
import { messageOf, Problem } from '../functions/runtime/errors.ts';
import type { Log } from '../functions/runtime/log.ts';
import { parseBuildSpec } from '../functions/builds/spec.ts';

type Json = Readonly<Record<string, unknown>>;
type Definition = ConstructorParameters<typeof StateMachine>[0];

/** A builder that can be waited for without asking again and again. */
export type AwaitableBuilder = Pick<Builder, 'start'> & { wait(buildId: string): Promise<BuildObservation> };

export type LocalWorkflowOptions = {
  readonly definition: Definition;
  /** What an execution begins with, by the id it is started with; default: `{ deploymentId }`. */
  readonly inputOf?: (id: string) => Readonly<Record<string, string>>;
  /** Runs the step that a payload names. */
  readonly runStep: (payload: Json & { readonly step: string }) => Promise<Json>;
  readonly builder: AwaitableBuilder;
  readonly log: Log;
};

/** The definition with its substitutions made as the stack makes them. */
export async function readDefinition(file: URL): Promise<Definition> {
  const text = await readFile(file, 'utf8');
  return JSON.parse(
    text
      .replaceAll('${WorkflowFunction}', 'workflow')
      .replaceAll('${BuildProjectPrefix}', 'sluice')
      .replaceAll('${BuildRolePrefix}', 'sluice-'),
  ) as Definition;
}

/**
 * Runs the very same `deploy.asl.json`, or `job.asl.json`, in this process. Nothing of an execution is kept: after a restart it is
 * started again from its top, which every step is made for.
 */
export function localWorkflow(options: LocalWorkflowOptions): Workflow & { close(): Promise<void> } {
  const machine = new StateMachine(options.definition);
  const running = new Map<string, { readonly end: Promise<void>; abort: () => void }>();
  const waiting = new Map<string, PromiseWithResolvers<Json>>();
  /** The token by which each place of an execution waits. */
  const places = new Map<string, string>();
  const inFlight = new Set<Promise<unknown>>();
  let tokens = 0;
  let isClosed = false;

  /** After the close a step neither begins nor answers: the next start of the machine runs it again. */
  const guard = async (work: () => Promise<Json>): Promise<Json> => {
    if (isClosed) return await never();
    const promise = work();
    inFlight.add(promise);
    try {
      return await promise;
    } finally {
      inFlight.delete(promise);
      if (isClosed) await never();
    }
  };

  const awaitToken = async (payload: Json & { step: string }): Promise<Json> => {
    const token = `${payload['deploymentId'] as string}/${(tokens += 1)}`;
    const answer = Promise.withResolvers<Json>();
    // An answer that comes before the step is over is nobody's unhandled failure: it is waited for below.
    answer.promise.catch(() => {});
    // One that took too long is entered anew: nobody waits with its token before any more.
    waiting.delete(places.get(placeOf(payload)) ?? '');
    places.set(placeOf(payload), token);
    waiting.set(token, answer);
    try {
      await guard(() => options.runStep({ ...payload, token }));
      return await answer.promise;
    } finally {
      waiting.delete(token);
      if (places.get(placeOf(payload)) === token) places.delete(placeOf(payload));
    }
  };

  const handlers = taskHandlers(options, { guard, awaitToken });

  const inputOf = options.inputOf ?? ((deploymentId: string) => ({ deploymentId }));

  const execute = async (deploymentId: string): Promise<void> => {
    const context = { Execution: { Name: deploymentId }, Task: { Token: '' } };
    const { result, abort } = machine.run(inputOf(deploymentId), {
      context,
      overrides: { taskResourceLocalHandlers: handlers },
    });
    const current = running.get(deploymentId);
    if (current) current.abort = abort;
    try {
      await result;
    } catch (error) {
      options.log.error('workflow failed', { deploymentId, error: messageOf(error) });
    }
  };

  const settleToken = (token: string, settle: (answer: PromiseWithResolvers<Json>) => void): boolean => {
    const answer = waiting.get(token);
    waiting.delete(token);
    if (answer) settle(answer);
    return answer !== undefined;
  };

  /** Nobody waits with the tokens of an execution that was stopped. */
  const forgetTokens = (deploymentId: string): void => {
    for (const token of waiting.keys()) if (token.startsWith(`${deploymentId}/`)) waiting.delete(token);
  };

  return {
    async start(deploymentId) {
      if (isClosed || running.has(deploymentId)) return;
      // Begins after whoever started it has gone on: an answer to a push must not wait for its first step.
      const execution = new Promise<void>((resolve) => setImmediate(resolve)).then(() => execute(deploymentId));
      const end = execution.finally(() => running.delete(deploymentId));
      running.set(deploymentId, { end, abort: () => {} });
    },
    async stop(deploymentId, reason) {
      const execution = running.get(deploymentId);
      if (!execution) return;
      options.log.warn('workflow stopped', { deploymentId, reason });
      execution.abort();
      await execution.end;
      forgetTokens(deploymentId);
    },
    async isRunning(deploymentId) {
      return running.has(deploymentId);
    },
    async resume(token, output) {
      return settleToken(token, ({ resolve }) => resolve(output));
    },
    async fail(token, { name, reason }) {
      return settleToken(token, ({ reject }) => reject(Object.assign(new Error(reason), { name })));
    },
    async ready() {
      if (isClosed) throw new Error('The workflow is closed');
    },
    async close() {
      isClosed = true;
      await Promise.allSettled(inFlight);
    },
  };
}

/** Where in an execution a payload waits: once at a time. */
function placeOf({ deploymentId, step, target }: Json): string {
  return JSON.stringify([deploymentId, step, target]);
}

type Guards = {
  readonly guard: (work: () => Promise<Json>) => Promise<Json>;
  readonly awaitToken: (payload: Json & { step: string }) => Promise<Json>;
};
type Task = {
  readonly Type: string;
  readonly Resource?: string;
  readonly ItemProcessor?: { States: States };
  readonly Iterator?: { States: States };
};
type States = Readonly<Record<string, Task>>;
type Parameters = { readonly Payload: Json & { readonly step: string } };

/** One handler for each Task state, chosen by its Resource: what the service integrations of AWS do. */
function taskHandlers(options: LocalWorkflowOptions, guards: Guards) {
  // The library types what a handler takes and answers as `any`.
  // oxlint-disable-next-line typescript/no-explicit-any
  const handlers: Record<string, (input: any) => Promise<any>> = {};
  const visit = (states: States): void => {
    for (const [name, state] of Object.entries(states)) {
      const inner = state.ItemProcessor ?? state.Iterator;
      if (inner) visit(inner.States);
      if (state.Type === 'Task') handlers[name] = taskHandler(state.Resource ?? '', options, guards);
    }
  };
  visit(options.definition.States);
  return handlers;
}

function taskHandler(resource: string, options: LocalWorkflowOptions, { guard, awaitToken }: Guards) {
  switch (resource) {
    case 'arn:aws:states:::lambda:invoke':
      return async (input: unknown) => ({ Payload: await guard(() => options.runStep((input as Parameters).Payload)) });
    case 'arn:aws:states:::lambda:invoke.waitForTaskToken':
      return async (input: unknown) => await awaitToken((input as Parameters).Payload);
    case 'arn:aws:states:::codebuild:startBuild.sync':
      return async (input: unknown) => await runBuild(options.builder, guard, input as StartBuild);
    default:
      throw new Error(`deploy.asl.json uses a resource that this machine does not have: ${resource}`);
  }
}

type StartBuild = {
  readonly ProjectName: string;
  readonly EnvironmentVariablesOverride: readonly { readonly Name: string; readonly Value: string }[];
};

/**
 * What `codebuild:startBuild.sync` does: starts a build, waits for its end, and answers or fails with its description.
 * The wait is no step in flight: a close of the workflow does not wait for builds, which end with their builder.
 */
async function runBuild(builder: AwaitableBuilder, guard: Guards['guard'], input: StartBuild): Promise<Json> {
  const spec = parseBuildSpec(
    input.EnvironmentVariablesOverride.find(({ Name }) => Name === 'SLUICE_SPEC')?.Value ?? '',
  );
  const kind = input.ProjectName.slice(input.ProjectName.lastIndexOf('-') + 1) as BuildRequest['kind'];
  const seen = await startAndWait(builder, { kind, spec });
  return await guard(async () => {
    const build = describeBuild(input, spec.buildId, seen);
    if (build.BuildStatus === 'SUCCEEDED') return { Build: build };
    throw Object.assign(new Error(JSON.stringify(build)), { name: 'States.TaskFailed' });
  });
}

/** A build that this machine refuses has failed, and says why; it is not one that lost its machine. */
async function startAndWait(builder: AwaitableBuilder, request: BuildRequest): Promise<BuildObservation> {
  try {
    await builder.start(request);
  } catch (error) {
    if (!(error instanceof Problem) || error.kind === 'busy') throw error;
    return { status: 'failed', reason: error.message, phases: [], exported: {} };
  }
  return await builder.wait(request.spec.buildId);
}

const buildStatuses = {
  succeeded: 'SUCCEEDED',
  failed: 'FAILED',
  timed_out: 'TIMED_OUT',
  stopped: 'STOPPED',
  interrupted: 'FAULT',
} as const;

/** A build as CodeBuild describes one: https://docs.aws.amazon.com/codebuild/latest/APIReference/API_Build.html */
function describeBuild(input: StartBuild, id: string, seen: BuildObservation) {
  if (seen.status === 'unknown' || seen.status === 'running')
    throw new Error(`The build ${id} was waited for and is ${seen.status}`);
  // The observation's reason is the build's own, or this machine's where the build could say none.
  const exported = seen.reason === '' ? seen.exported : { ...seen.exported, SLUICE_REASON: seen.reason };
  return {
    Id: id,
    BuildStatus: buildStatuses[seen.status],
    Environment: { EnvironmentVariables: input.EnvironmentVariablesOverride },
    ExportedEnvironmentVariables: Object.entries(exported).map(([Name, Value]) => ({ Name, Value })),
    Phases: seen.phases.map(({ name, seconds }) => ({ PhaseType: name.toUpperCase(), DurationInSeconds: seconds })),
  };
}

/** For what must not go on. */
async function never(): Promise<never> {
  return await new Promise<never>(() => {});
}
