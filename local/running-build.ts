import { join } from 'node:path';
import { interruptedReason } from '../functions/builds/interrupted.ts';
import { tooLongReason } from '../functions/builds/too-long.ts';
import type { BuildRequest } from '../functions/ports/builder.ts';
import { messageOf } from '../functions/runtime/errors.ts';
import { engineVariables, ownRemoteVariables } from './build-environment.ts';
import { removeBuildContainers } from './build-containers.ts';
import { openBuildLog, type BuildLog } from './build-log.ts';
import type { BuildFolders, EndedBuild } from './build-records.ts';
import type { LocalBuilderOptions } from './builder.ts';
import { readBuildspec } from './buildspec.ts';
import { diskProblem, makeFolders } from './durable.ts';
import type { Engine } from './engine.ts';
import { killTree } from './process-tree.ts';
import { removeFolder } from './remove-folder.ts';
import { runBuildspec, type RunResult } from './run-buildspec.ts';

/** Why a build is ended before its end. */
export type Ending = 'stopped' | 'timed_out' | 'interrupted';

export type RunningBuild = {
  /** The buildspec's phase, or `queued`. */
  readonly phase: () => string;
  /** Ends the build with its whole process tree; the first reason counts. */
  readonly end: (how: Ending) => void;
  /** Resolves, and never fails, when nothing of the build runs and its folder is gone. */
  readonly ended: Promise<EndedBuild>;
  /** Resolves when `settle` was called: when the end is also written down. */
  readonly settled: Promise<void>;
  readonly settle: () => void;
};

export type Surroundings = Omit<LocalBuilderOptions, 'engine'> & {
  readonly folders: BuildFolders;
  readonly engine: Engine | undefined;
  readonly takeTurn: () => Promise<() => void>;
};

/** So long the agent may take to wipe its key and to leave, before it is killed. */
const graceSeconds = 2;

/** Runs a build when its turn comes, within its time limit, and cleans up after it, whatever happens. */
export function runningBuild(request: BuildRequest, around: Surroundings): RunningBuild {
  const { buildId, timeoutSeconds } = request.spec;
  const aborter = new AbortController();
  const settled = Promise.withResolvers<void>();
  const mark = `${around.dataFolderId}/build/${buildId}`;
  let phase = 'queued';
  let ending: Ending | undefined;
  let killed: Promise<void> = Promise.resolve();

  function end(how: Ending): void {
    if (ending) return;
    ending = how;
    aborter.abort();
    killed = killTree(mark, { graceSeconds });
  }

  async function inWorkFolder(log: BuildLog): Promise<RunResult> {
    const folder = around.folders.workOf(buildId);
    const timer = setTimeout(() => end('timed_out'), timeoutSeconds * 1000);
    try {
      await makeFolders(folder);
      return await runBuildspec(await readBuildspec(join(around.buildspecs, `${request.kind}.yml`)), {
        mark,
        folder,
        env: variablesOf(request, around),
        signal: aborter.signal,
        onPhase: (name) => void (phase = name),
        onLines: async (name, lines) => await log.add(name, lines),
      });
    } finally {
      clearTimeout(timer);
      await killed;
      await cleanUp(folder);
    }
  }

  /** Also after success: what a build has started in the background ends with it. */
  async function cleanUp(folder: string): Promise<void> {
    try {
      await killTree(mark, { graceSeconds: 0, within: folder });
      await removeContainers();
    } finally {
      await removeFolder(folder).catch((error: unknown) => {
        // `recover` tries again; the build's result is none the worse for it.
        around.log.error('The folder of a build could not be removed', { buildId, error: messageOf(error) });
      });
    }
  }

  /** A check's container is the engine's child, not the build's. */
  async function removeContainers(): Promise<void> {
    const { work } = request.spec;
    if (!around.engine || work.kind !== 'check' || work.check.image === undefined) return;
    const place = { engine: around.engine, environment: around.environment };
    await removeBuildContainers(place, (found) => found === mark).catch((error: unknown) => {
      around.log.error('The container of a check could not be removed', { buildId, error: messageOf(error) });
    });
  }

  async function withLog(): Promise<EndedBuild> {
    const log = await openBuildLog(around.folders.logOf(buildId), { clock: around.clock });
    try {
      const result = await inWorkFolder(log);
      if (!ending) return outcomeOf(result);
      const early = endedEarly(ending, request, result.phases);
      await log.add(phase, [early.reason]);
      return early;
    } finally {
      await log.close();
    }
  }

  async function run(): Promise<EndedBuild> {
    const turn = around.takeTurn();
    const leave = await Promise.race([turn, aborted(aborter.signal)]);
    try {
      return leave ? await withLog() : endedEarly(ending ?? 'stopped', request, []);
    } catch (error) {
      if (ending) return endedEarly(ending, request, []);
      around.log.warn('A build broke off', { buildId, error: messageOf(error) });
      const reason = messageOf(diskProblem(error, 'The build broke off'));
      return { status: 'failed', reason, phases: [], exported: {} };
    } finally {
      // One that was ended while it waited still has its place in the queue.
      void turn.then((leaveTurn) => leaveTurn());
    }
  }

  return { phase: () => phase, end, ended: run(), settled: settled.promise, settle: settled.resolve };
}

function variablesOf({ spec }: BuildRequest, around: Surroundings): Readonly<Record<string, string>> {
  return {
    ...around.environment,
    ...ownRemoteVariables(around.ownRemote?.()),
    ...engineVariables(around.engine),
    LANG: 'C.UTF-8',
    SLUICE_AGENT: around.agentFile,
    SLUICE_SPEC: JSON.stringify(spec),
    SLUICE_WORK: around.folders.workOf(spec.buildId),
    SLUICE_DATA: around.data,
    SLUICE_GIT_ALLOW: (around.gitAllow ?? ['file']).join(' '),
  };
}

function outcomeOf({ failure, phases, exported }: RunResult): EndedBuild {
  if (!failure) return { status: 'succeeded', reason: '', phases, exported };
  const reason = exported['SLUICE_REASON'] ?? `The phase ${failure.phase} failed: ${failure.words}`;
  return { status: 'failed', reason, phases, exported };
}

function endedEarly(how: Ending, { spec }: BuildRequest, phases: EndedBuild['phases']): EndedBuild {
  switch (how) {
    case 'stopped':
      return { status: 'stopped', reason: 'The build was stopped', phases, exported: {} };
    case 'interrupted':
      return { status: 'interrupted', reason: interruptedReason, phases, exported: {} };
    case 'timed_out':
      return { status: 'timed_out', reason: tooLongReason(spec), phases, exported: {} };
  }
}

async function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}
