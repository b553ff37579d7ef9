import { randomUUID } from 'node:crypto';
import type { Build, StartBuildCommandInput } from '@aws-sdk/client-codebuild';
import { specVariable } from '../../functions/aws/build-requests.ts';
import type { BuildKind, BuildObservation, BuildRequest, LogLine } from '../../functions/ports/builder.ts';
import { buildProjectName } from '../../functions/runtime/aws-names.ts';
import { awsError, type AwsScript } from './scripted-aws.ts';

/** What a scripted CodeBuild's builds do; `id` is the last part of CodeBuild's own id of a build. */
export type BuildWork = {
  readonly start: (id: string, request: BuildRequest) => void;
  readonly observe: (id: string) => Promise<BuildObservation>;
  readonly stop: (id: string) => void;
  readonly log: (id: string) => Promise<readonly LogLine[]>;
};

export type ScriptedRun = {
  readonly runId: string;
  readonly id: string;
  readonly kind: BuildKind;
  readonly input: StartBuildCommandInput;
  readonly startTime: Date;
  endTime: Date | undefined;
};
export type Faults = {
  before?: ((operation: string, input: Record<string, unknown>) => void) | undefined;
  after?: ((operation: string) => void) | undefined;
};

export const scriptedPrefix = 'sluice-test';
const kinds: readonly BuildKind[] = ['image', 'bundle', 'fetch', 'registry', 'import', 'check'];
const statuses = {
  running: 'IN_PROGRESS',
  succeeded: 'SUCCEEDED',
  failed: 'FAILED',
  timed_out: 'TIMED_OUT',
  stopped: 'STOPPED',
  interrupted: 'FAULT',
} as const;

/**
 * CodeBuild and the log it writes, in the documented shapes and sequences; CodeBuild of the emulator builds nothing.
 * https://docs.aws.amazon.com/codebuild/latest/APIReference/API_Build.html
 * https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details-phases.html
 * https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html
 */
export function scriptedCodeBuild(work: BuildWork) {
  const runs: ScriptedRun[] = [];
  const faults: Faults = {};
  const calls: string[] = [];
  const hidden = new Set<string>();
  const settings = { projects: new Set(kinds.map((kind) => buildProjectName(scriptedPrefix, kind))), maxRunning: 60 };
  /** At most so many events a page; CloudWatch's own limit is one of bytes. */
  const page = { events: 10_000, emptyFirst: false };

  const operations: Readonly<Record<string, (input: never) => Promise<object>>> = {
    async StartBuild(input: StartBuildCommandInput) {
      const { projectName = '', idempotencyToken, timeoutInMinutesOverride = 60 } = input;
      if (!settings.projects.has(projectName)) throw awsError('ResourceNotFoundException');
      if (timeoutInMinutesOverride < 5 || timeoutInMinutesOverride > 2160) throw awsError('InvalidInputException');
      const known = runs.find((run) => run.input.idempotencyToken === idempotencyToken);
      if (idempotencyToken !== undefined && known) {
        if (JSON.stringify(known.input) !== JSON.stringify(input)) throw awsError('InvalidInputException');
        return { build: await describe(known) };
      }
      if (runs.filter(({ endTime }) => !endTime).length >= settings.maxRunning) {
        throw awsError('AccountLimitExceededException', 'Cannot have more than 1 builds in queue for the account');
      }
      return { build: await describe(add(input)) };
    },
    async BatchGetBuilds({ ids }: { readonly ids: readonly string[] }) {
      if (ids.length === 0 || ids.length > 100) throw awsError('InvalidInputException');
      const found = runs.filter(({ runId }) => ids.includes(runId) && !hidden.has(runId));
      const foundIds = new Set(found.map(({ runId }) => runId));
      return {
        builds: await Promise.all(found.map(describe)),
        buildsNotFound: ids.filter((runId) => !foundIds.has(runId)),
      };
    },
    async ListBuildsForProject(input: { projectName: string; sortOrder?: string; nextToken?: string }) {
      if (!settings.projects.has(input.projectName)) throw awsError('ResourceNotFoundException');
      const all = runs.filter(({ runId }) => runId.startsWith(`${input.projectName}:`) && !hidden.has(runId));
      if (input.sortOrder !== undefined && all.length > 100) throw awsError('InvalidInputException');
      const from = Number(input.nextToken ?? 0);
      const newestFirst = all.map(({ runId }) => runId).reverse();
      const ids = newestFirst.slice(from, from + 100);
      return { ids, ...(newestFirst.length > from + 100 ? { nextToken: String(from + 100) } : {}) };
    },
    async BatchGetProjects({ names }: { readonly names: readonly string[] }) {
      const found = names.filter((name) => settings.projects.has(name));
      return {
        projects: found.map((name) => ({ name })),
        projectsNotFound: names.filter((name) => !settings.projects.has(name)),
      };
    },
    async StopBuild({ id }: { readonly id: string }) {
      const run = runs.find(({ runId }) => runId === id);
      if (!run) throw awsError('ResourceNotFoundException');
      work.stop(run.id);
      return { build: await describe(run) };
    },
    async GetLogEvents(input: { logGroupName: string; logStreamName: string; nextToken?: string; limit?: number }) {
      const run = runs.find(({ id, kind }) => input.logStreamName === id && input.logGroupName === groupOf(kind));
      const observed = run && (await work.observe(run.id));
      if (!run || !hasLog(observed)) throw awsError('ResourceNotFoundException');
      const events = eventsOf(run, await work.log(run.id));
      const place = /^f\/(\d+)\/s$/.exec(input.nextToken ?? 'f/0/s')?.[1];
      if (place === undefined) throw awsError('InvalidParameterException', 'The specified nextToken is invalid.');
      const from = Number(place);
      if (page.emptyFirst && input.nextToken === undefined) return { events: [], nextForwardToken: 'f/00/s' };
      const shown = events.slice(from, from + Math.min(input.limit ?? 10_000, page.events));
      // At the end the token stays as it was given.
      const isEnd = shown.length === 0 && input.nextToken !== undefined;
      return { events: shown, nextForwardToken: isEnd ? input.nextToken : `f/${from + shown.length}/s` };
    },
  };

  function add(input: StartBuildCommandInput): ScriptedRun {
    const id = randomUUID();
    const kind = kinds.find((name) => input.projectName?.endsWith(`-${name}`)) ?? 'bundle';
    const run: ScriptedRun = {
      runId: `${input.projectName ?? ''}:${id}`,
      id,
      kind,
      input,
      startTime: new Date(),
      endTime: undefined,
    };
    runs.push(run);
    work.start(id, { kind, spec: JSON.parse(specOf(input)) as BuildRequest['spec'] });
    return run;
  }

  async function describe(run: ScriptedRun): Promise<Build> {
    const observed = await work.observe(run.id);
    if ('reason' in observed) run.endTime ??= new Date();
    return buildOf(run, observed);
  }

  const script: AwsScript = async (operation, input: Record<string, unknown>) => {
    calls.push(operation);
    faults.before?.(operation, input);
    const perform = operations[operation];
    if (!perform) throw new Error(`Nobody scripted ${operation}`);
    const output = await perform(input as never);
    faults.after?.(operation);
    return output;
  };
  return { script, runs, faults, calls, hidden, settings, page, add };
}

function specOf({ environmentVariablesOverride = [] }: StartBuildCommandInput): string {
  return environmentVariablesOverride.find(({ name }) => name === specVariable)?.value ?? '{}';
}

const groupOf = (kind: BuildKind): string => `/${scriptedPrefix}/build/${kind}`;

/** The stream is made when the build has its machine. */
function hasLog(observed: BuildObservation | undefined): boolean {
  return observed !== undefined && !(observed.status === 'running' && /^(submitted|queued)$/.test(observed.phase));
}

function buildOf(run: ScriptedRun, observed: BuildObservation): Build {
  const isOver = 'reason' in observed;
  const status = observed.status === 'unknown' ? 'IN_PROGRESS' : statuses[observed.status];
  const phase = observed.status === 'running' ? observed.phase.toUpperCase() : 'SUBMITTED';
  return {
    id: run.runId,
    arn: `arn:aws:codebuild:eu-central-1:123456789012:build/${run.runId}`,
    projectName: run.input.projectName,
    startTime: run.startTime,
    ...(run.endTime ? { endTime: run.endTime } : {}),
    currentPhase: isOver ? 'COMPLETED' : phase,
    buildStatus: status,
    buildComplete: isOver,
    timeoutInMinutes: run.input.timeoutInMinutesOverride,
    logs: {
      groupName: hasLog(observed) ? groupOf(run.kind) : undefined,
      streamName: hasLog(observed) ? run.id : undefined,
      cloudWatchLogs: { status: 'ENABLED', groupName: groupOf(run.kind) },
    },
    environment: {
      type: 'LINUX_CONTAINER',
      image: 'aws/codebuild/amazonlinux-x86_64-standard:5.0',
      computeType: 'BUILD_GENERAL1_SMALL',
      environmentVariables: [...(run.input.environmentVariablesOverride ?? [])],
    },
    phases: isOver ? phasesOf(observed) : [],
    // CodeBuild exports a variable that was never set as an empty one.
    exportedEnvironmentVariables: isOver
      ? Object.entries({ SLUICE_RESULT: '', SLUICE_REASON: '', ...observed.exported }).map(([name, value]) => ({
          name,
          value,
        }))
      : [],
  };
}

function phasesOf(observed: Extract<BuildObservation, { reason: string }>): Build['phases'] {
  const own = observed.phases.map(({ name, seconds }) => ({ name: name.toUpperCase(), seconds: Math.round(seconds) }));
  const around = (...names: readonly string[]) => names.map((name) => ({ name, seconds: 0 }));
  const all = [
    ...around('SUBMITTED', 'QUEUED', 'PROVISIONING', 'DOWNLOAD_SOURCE', 'INSTALL'),
    ...own,
    ...around('UPLOAD_ARTIFACTS', 'FINALIZING'),
  ];
  const bad = own.find(({ name }) => name === 'BUILD') ?? own.at(-1);
  const isBad = (phase: object) => phase === bad && observed.status !== 'succeeded';
  return [
    ...all.map((phase) => ({
      phaseType: phase.name as 'BUILD',
      phaseStatus: isBad(phase) ? statuses[observed.status] : ('SUCCEEDED' as const),
      durationInSeconds: phase.seconds,
      contexts: isBad(phase)
        ? [{ statusCode: 'COMMAND_EXECUTION_ERROR', message: 'Error while executing command. Reason: exit status 1' }]
        : [],
    })),
    { phaseType: 'COMPLETED' },
  ];
}

/** The log as CodeBuild writes it: its own words around what the commands write, an event a line. */
function eventsOf(run: ScriptedRun, lines: readonly LogLine[]): readonly { timestamp: number; message: string }[] {
  const start = run.startTime.getTime();
  const container = (at: number, text: string) => {
    const [day = '', time = ''] = new Date(at).toISOString().split('T');
    return { timestamp: at, message: `[Container] ${day.replaceAll('-', '/')} ${time.slice(0, 12)}000 ${text}\n` };
  };
  const events = [
    container(start, 'Waiting for agent ping'),
    container(start, 'Phase is DOWNLOAD_SOURCE'),
    container(start, 'Phase complete: DOWNLOAD_SOURCE State: SUCCEEDED'),
    container(start, 'Entering phase INSTALL'),
  ];
  let phase = 'install';
  for (const line of lines) {
    if (line.phase !== phase) events.push(container(line.at, `Entering phase ${line.phase.toUpperCase()}`));
    phase = line.phase;
    events.push({ timestamp: line.at, message: `${line.text}\n` });
  }
  return events;
}

/** Builds that do as a test says. */
export function builtByHand() {
  const observed = new Map<string, BuildObservation>();
  const lines = new Map<string, LogLine[]>();
  const stopped: string[] = [];
  const settings = { stops: true };
  const end = (id: string, status: 'succeeded' | 'failed' | 'timed_out' | 'stopped' | 'interrupted', said = '') =>
    observed.set(id, {
      status,
      reason: said,
      phases: [
        { name: 'pre_build', seconds: 1 },
        { name: 'build', seconds: 2 },
      ],
      exported: said === '' ? {} : { SLUICE_REASON: said },
    });
  const work: BuildWork = {
    start: (id) => void observed.set(id, { status: 'running', phase: 'submitted' }),
    observe: async (id) => observed.get(id) ?? { status: 'unknown' },
    stop(id) {
      stopped.push(id);
      if (settings.stops && observed.get(id)?.status === 'running') end(id, 'stopped');
    },
    log: async (id) => lines.get(id) ?? [],
  };
  const say = (id: string, ...said: readonly LogLine[]) => lines.set(id, [...(lines.get(id) ?? []), ...said]);
  return { work, observed, end, say, stopped, settings };
}
