import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { PhaseTime } from '../functions/ports/builder.ts';
import { phaseNames, type Buildspec, type PhaseName } from './buildspec.ts';
import { outputLines } from '../buildspecs/agent/output-lines.ts';
import { spawnTree } from './process-tree.ts';

export type RunOptions = {
  readonly mark: string;
  /** An existing folder that is the build's alone; its commands begin there. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** No command is started once it is aborted; ending those that run is the caller's. */
  readonly signal: AbortSignal;
  readonly onPhase: (phase: PhaseName) => void;
  /** Keeps lines of output. When it fails, the run fails with its error. */
  readonly onLines: (phase: PhaseName, lines: readonly string[]) => Promise<void>;
};

export type RunResult = {
  readonly phases: readonly PhaseTime[];
  /** The first phase that failed, and how; undefined when all went well. */
  readonly failure: { readonly phase: PhaseName; readonly words: string } | undefined;
  readonly exported: Readonly<Record<string, string>>;
};

/**
 * Runs a buildspec as CodeBuild does: phases in order, their commands until one fails, then the phase's `finally`
 * commands. After a failed install or pre_build nothing more is run; after a failed build, post_build is, and sees
 * `CODEBUILD_BUILD_SUCCEEDING=0`. Folder and exported environment go on from command to command.
 * https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details-phases.html
 */
export async function runBuildspec(spec: Buildspec, options: RunOptions): Promise<RunResult> {
  const scratch = join(options.folder, '.run');
  await mkdir(join(scratch, 'exported'), { recursive: true });
  const run: Run = { spec, options, scratch };
  const phases: PhaseTime[] = [];
  let failure: RunResult['failure'];
  for (const name of phaseNames) {
    const phase = spec.phases[name];
    if (!phase || options.signal.aborted || (failure && !(failure.phase === 'build' && name === 'post_build')))
      continue;
    options.onPhase(name);
    const began = performance.now();
    const succeeding = failure === undefined;
    const words = await runCommands(run, { phase: name, commands: phase.commands, succeeding });
    const last = await runCommands(run, { phase: name, commands: phase.finally, succeeding: succeeding && !words });
    if (words ?? last) failure ??= { phase: name, words: words ?? last ?? '' };
    phases.push({ name, seconds: Math.round(performance.now() - began) / 1000 });
  }
  return { phases, failure, exported: await readExported(run) };
}

type Run = {
  readonly spec: Buildspec;
  readonly options: RunOptions;
  readonly scratch: string;
};
type Commands = { readonly phase: PhaseName; readonly commands: readonly string[]; readonly succeeding: boolean };

/** Runs commands until one fails; answers with the words for that, undefined when none did. */
async function runCommands(run: Run, { phase, commands, succeeding }: Commands): Promise<string | undefined> {
  for (const command of commands) {
    if (run.options.signal.aborted) return 'the build was ended';
    const words = await runOne(run, command, { phase, succeeding });
    if (words !== undefined) return words;
  }
  return undefined;
}

async function runOne(
  run: Run,
  command: string,
  { phase, succeeding }: { phase: PhaseName; succeeding: boolean },
): Promise<string | undefined> {
  const { options, spec, scratch } = run;
  const child = spawnTree({
    command: ['/bin/sh', '-c', wrapped(command, spec), 'sh', scratch],
    cwd: options.folder,
    env: { ...spec.env.variables, ...options.env, CODEBUILD_BUILD_SUCCEEDING: succeeding ? '1' : '0' },
    mark: options.mark,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [code, signal] = await ended(child, async (lines) => await options.onLines(phase, lines));
  if (code === 0) return undefined;
  return `a command ended with ${signal ?? `exit code ${code}`}`;
}

/**
 * A command with what CodeBuild does around it: each has a shell of its own, which begins with the folder and the
 * exported variables that the one before left. All output goes one way, so that lines keep their order.
 */
function wrapped(command: string, spec: Buildspec): string {
  const names = spec.env['exported-variables'];
  return `exec 2>&1
SLUICE_RUN=$1; shift
if [ -e "$SLUICE_RUN/env" ]; then SLUICE_SUCCEEDING=$CODEBUILD_BUILD_SUCCEEDING; . "$SLUICE_RUN/env"; CODEBUILD_BUILD_SUCCEEDING=$SLUICE_SUCCEEDING; cd "$PWD" || exit; fi
trap 'SLUICE_CODE=$?; export PWD; export -p > "$SLUICE_RUN/env"
${names.map((name) => `printf %s "\${${name}-}" > "$SLUICE_RUN/exported/${name}"`).join('\n')}
exit $SLUICE_CODE' EXIT
${command}
`;
}

/**
 * Waits for a command, reading what it and its children write. Children that outlive it may hold its output open; it is
 * not waited for them, but what they write is read on.
 */
async function ended(
  child: ChildProcess,
  onLines: (lines: readonly string[]) => Promise<void>,
): Promise<[number | null, NodeJS.Signals | null]> {
  const failed = Promise.withResolvers<never>();
  const read = (async () => {
    try {
      for await (const lines of outputLines(child.stdout ?? [])) await onLines(lines);
    } catch (error) {
      failed.reject(error);
    }
  })();
  const exit = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const result = await Promise.race([exit, failed.promise]);
  await Promise.race([read, pause(strayOutputMs, undefined, { ref: false }), failed.promise]);
  return result;
}

const strayOutputMs = 250;

async function readExported({ spec, scratch }: Run): Promise<Record<string, string>> {
  const exported: Record<string, string> = {};
  for (const name of spec.env['exported-variables']) {
    const value = await readFile(join(scratch, 'exported', name), 'utf8').catch(() => '');
    if (value !== '') exported[name] = value;
  }
  return exported;
}
