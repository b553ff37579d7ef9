import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { interruptedReason } from '../functions/builds/interrupted.ts';
import { parseBuildSpec } from '../functions/builds/spec.ts';
import type { BuildObservation, Builder, BuildRequest } from '../functions/ports/builder.ts';
import { messageOf, Problem } from '../functions/runtime/errors.ts';
import type { Log } from '../functions/runtime/log.ts';
import type { EpochMs } from '../functions/runtime/units.ts';
import type { OwnRemote } from './build-environment.ts';
import { removeBuildContainers } from './build-containers.ts';
import { readBuildLog } from './build-log.ts';
import { buildFolders, findOutcome, namesIn, writeOutcome, type EndedBuild } from './build-records.ts';
import { removeFolder } from './remove-folder.ts';
import { makeFolders } from './durable.ts';
import type { Engine } from './engine.ts';
import { findMarks, killTree } from './process-tree.ts';
import { runningBuild, type RunningBuild } from './running-build.ts';

export type LocalBuilderOptions = {
  /** The data folder, absolute. */
  readonly data: string;
  /** Tells this data folder's processes from those of another on the same machine: letters, digits, dashes. */
  readonly dataFolderId: string;
  /** What `buildAgent` made of `local/agent.ts`. */
  readonly agentFile: string;
  /** The folder of `image.yml`, `bundle.yml` and the other kinds'. */
  readonly buildspecs: string;
  readonly engine: () => Promise<Engine | undefined>;
  /** What `toolEnvironment` took of the server's environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Asked at each build: the server's port may not be known before. */
  readonly ownRemote?: () => OwnRemote | undefined;
  /** Transports that Git may use besides https and ssh. Default: `file`, for this machine's own repositories. */
  readonly gitAllow?: readonly string[];
  /** Builds running at once; the others wait in order. Default: the number of cores. */
  readonly concurrency?: number;
  readonly clock: () => EpochMs;
  readonly log: Log;
};

export type LocalBuilder = Builder & {
  /** Resolves when the build has ended; at once for one that has, or that is unknown. */
  wait(buildId: string): Promise<BuildObservation>;
  /**
   * Cleans up after a server that was killed: ends the processes it left, removes its temporary folders, and marks the
   * builds it did not end as failed. To be called once, before the first build is started.
   */
  recover(): Promise<void>;
  /** Ends every build, as interrupted; for the server's own end. */
  close(): Promise<void>;
};

/** The Builder port on this machine: runs the very files of `buildspecs/`, each build in a process tree of its own. */
export function localBuilder(options: LocalBuilderOptions): LocalBuilder {
  const folders = buildFolders(options.data);
  const builds = new Map<string, RunningBuild>();
  const starting = new Map<string, Promise<void>>();
  const takeTurn = inTurn(options.concurrency ?? availableParallelism());
  /** Ends that could not be written down: told as long as the server lives; afterwards they count as interrupted. */
  const unwritten = new Map<string, EndedBuild>();

  async function begin(request: BuildRequest): Promise<void> {
    const { buildId } = parseBuildSpec(JSON.stringify(request.spec));
    if (builds.has(buildId) || unwritten.has(buildId) || (await findOutcome(folders, buildId))) return;
    const engine = await options.engine();
    if (!engine && needsEngine(request)) throw noEngine();
    await makeFolders(folders.keptOf(buildId));
    const build = runningBuild(request, { ...options, folders, engine, takeTurn });
    builds.set(buildId, build);
    void keepEnd(buildId, build);
  }

  async function keepEnd(buildId: string, build: RunningBuild): Promise<void> {
    const outcome = await build.ended;
    await writeOutcome(folders, buildId, outcome).catch((error: unknown) => {
      unwritten.set(buildId, outcome);
      options.log.error('The end of a build could not be written', { buildId, error: messageOf(error) });
    });
    builds.delete(buildId);
    build.settle();
  }

  async function observe(buildId: string): Promise<BuildObservation> {
    const build = builds.get(buildId);
    if (build) return { status: 'running', phase: build.phase() };
    checkId(buildId);
    return unwritten.get(buildId) ?? (await findOutcome(folders, buildId)) ?? { status: 'unknown' };
  }

  /** Of checks that run images; an engine that does not answer just now has none that run. */
  async function removeLeftContainers(markPrefix: string): Promise<void> {
    const engine = await options.engine();
    if (!engine) return;
    const place = { engine, environment: options.environment };
    await removeBuildContainers(place, (mark) => mark.startsWith(markPrefix)).catch((error: unknown) => {
      options.log.error('Containers of checks could not be removed', { error: messageOf(error) });
    });
  }

  async function end(buildId: string, how: 'stopped' | 'interrupted'): Promise<void> {
    await starting.get(buildId)?.catch(() => {});
    const build = builds.get(buildId);
    build?.end(how);
    await build?.settled;
  }

  return {
    async start(request) {
      const { buildId } = request.spec;
      const started = starting.get(buildId) ?? begin(request).finally(() => starting.delete(buildId));
      starting.set(buildId, started);
      await started;
    },
    observe,
    stop: async (buildId) => await end(buildId, 'stopped'),
    async wait(buildId) {
      await starting.get(buildId)?.catch(() => {});
      await builds.get(buildId)?.settled;
      return await observe(buildId);
    },
    async logs(buildId, query = {}) {
      checkId(buildId);
      const ended = !builds.has(buildId);
      return await readBuildLog(folders.logOf(buildId), { after: query.after, limit: query.limit ?? 1000, ended });
    },
    async ready() {
      await access(options.agentFile, constants.R_OK);
      await access(join(options.buildspecs, 'bundle.yml'), constants.R_OK);
      await makeFolders(folders.kept);
      await makeFolders(folders.work);
      await access(folders.kept, constants.W_OK);
      await access(folders.work, constants.W_OK);
    },
    async recover() {
      const ours = `${options.dataFolderId}/build/`;
      for (const mark of await findMarks(ours)) await killTree(mark, { graceSeconds: 1 });
      await removeLeftContainers(ours);
      for (const name of await namesIn(folders.work)) await removeFolder(folders.workOf(name));
      for (const buildId of await namesIn(folders.kept)) {
        if (await findOutcome(folders, buildId)) continue;
        await writeOutcome(folders, buildId, {
          status: 'interrupted',
          reason: interruptedReason,
          phases: [],
          exported: {},
        });
      }
    },
    async close() {
      await Promise.all([...builds.keys(), ...starting.keys()].map(async (id) => await end(id, 'interrupted')));
    },
  };
}

function needsEngine({ spec: { work } }: BuildRequest): boolean {
  return (
    work.kind === 'image' ||
    work.kind === 'registry' ||
    work.kind === 'import' ||
    (work.kind === 'fetch' && work.fetch.artifactKind === 'image') ||
    (work.kind === 'check' && work.check.image !== undefined)
  );
}

function noEngine(): Problem {
  const instead = 'Start Docker or Podman, or let the app be built as a bundle (build.kind "bundle")';
  return new Problem('unsupported', `No container engine answers on this machine, so it has no images. ${instead}`);
}

/** An id becomes a path. */
function checkId(buildId: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(buildId)) {
    throw new Problem('invalid', 'build: expected the id of a build', {
      issues: [{ field: 'build', expected: 'the id of a build' }],
    });
  }
}

/** Lets so many run at once and the others wait in order; the answer gives the turn to the next. */
function inTurn(places: number): () => Promise<() => void> {
  const waiting: (() => void)[] = [];
  let free = places;
  const leave = () => {
    const next = waiting.shift();
    if (next) next();
    else free++;
  };
  return async () => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    return once(leave);
  };
}

function once(run: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    run();
  };
}
