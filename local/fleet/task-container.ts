import { execFile, spawn } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Artifact } from '../../functions/artifacts/artifact.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import type { Engine } from '../engine.ts';
import {
  containerName,
  environmentWays,
  inspectImageArguments,
  listArguments,
  logsArguments,
  portArguments,
  removeArguments,
  runArguments,
  stopArguments,
  waitArguments,
} from './container-commands.ts';
import { discardImage } from './discard-image.ts';
import { captureLines } from './output.ts';
import type { Ending, RunningTask, TaskOrder, TaskRunner } from './runner.ts';

export type ContainerRunnerOptions = {
  readonly data: string;
  readonly dataId: string;
  readonly engine: Engine;
  /** What the engine's client runs with: PATH, HOME, DOCKER_HOST … */
  readonly environment: Readonly<Record<string, string | undefined>>;
};

/** Runs images as containers, published on loopback. */
export function containerRunner(options: ContainerRunnerOptions): TaskRunner & {
  /** Removes an image from the engine; see the port. */
  readonly discard: (artifact: Artifact) => Promise<void>;
} {
  const client = engineClient(options);
  const place = join(options.data, 'work', 'tasks');
  return {
    refuses: async (artifact) => {
      const { failure } = await client.run(inspectImageArguments(artifact.reference));
      return failure === undefined ? undefined : `the image is not in ${options.engine.kind}`;
    },
    start: (order) => start({ order, client, place, dataId: options.dataId }),
    discard: (artifact) => discardImage(async (args) => await client.run(args), artifact),
    sweep: async () => {
      const { failure, output } = await client.run(listArguments(options.dataId));
      if (failure !== undefined) throw new Error(`${options.engine.kind} does not list containers: ${failure}`);
      const ids = output.split('\n').filter((id) => id !== '');
      if (ids.length > 0) await client.run(removeArguments(ids));
      await rm(place, { recursive: true, force: true });
    },
  };
}

type Client = {
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<{ output: string; failure?: string }>;
  follow(args: readonly string[]): ReturnType<typeof spawn>;
};

function engineClient({ engine, environment }: ContainerRunnerOptions): Client {
  return {
    run: async (args, env) => {
      try {
        const settings = { env: { ...environment, ...env }, maxBuffer: 8 * 1024 ** 2 };
        return { output: (await promisify(execFile)(engine.bin, [...args], settings)).stdout.trim() };
      } catch (error) {
        return { output: '', failure: firstLine((error as { stderr?: string }).stderr) };
      }
    },
    follow: (args) => spawn(engine.bin, [...args], { env: { ...environment }, stdio: ['ignore', 'pipe', 'pipe'] }),
  };
}

type Start = { order: TaskOrder; client: Client; place: string; dataId: string };

async function start({ order, client, place, dataId }: Start): Promise<RunningTask> {
  const { revision, app, target, number } = order;
  const name = containerName({ app, deploymentId: revision.deploymentId, target, number });
  const env = environmentWays({ ...revision.env, ...order.secrets, PORT: String(revision.port) });
  if (env.impossible.length > 0) {
    throw new Problem('invalid', `a container cannot get several lines in the variable ${env.impossible.join(', ')}`);
  }
  const envFile = join(place, `${order.taskId}.env`);
  await mkdir(place, { recursive: true, mode: 0o700 });
  try {
    await writeFile(envFile, env.file, { mode: 0o600, flag: 'wx' });
    const labels = { 'sluice.data': dataId, 'sluice.app': app, 'sluice.target': target, 'sluice.task': order.taskId };
    const command = revision.command ?? [];
    const passed = Object.keys(env.passed);
    const { port, artifact } = revision;
    const args = runArguments({ name, image: artifact.reference, port, command, envFile, passed, labels });
    const { failure } = await client.run(args, env.passed);
    if (failure !== undefined) throw await refused(client, name, failure);
  } finally {
    await rm(envFile, { force: true });
  }
  return running({ order, client, name });
}

async function refused(client: Client, name: string, failure: string): Promise<Problem> {
  await remove(client, name);
  return new Problem('invalid', failure);
}

async function running({
  order,
  client,
  name,
}: {
  order: TaskOrder;
  client: Client;
  name: string;
}): Promise<RunningTask> {
  // Asked first, and alone: the task's first health check waits for it. A container that has ended already has no port:
  // its end is reported, and nobody asks the port then.
  const published = await client.run(portArguments(name, order.revision.port));
  const port = Number(/:(\d+)$/m.exec(published.output)?.[1] ?? 0);
  const ended = waitForEnd(client, name);
  const output = client.follow(logsArguments(name));
  output.on('error', () => {});
  const options = { secrets: Object.values(order.secrets), write: order.write };
  for (const stream of [output.stdout, output.stderr]) if (stream) void captureLines(stream, options).catch(() => {});
  let stopped: Promise<void> | undefined;
  const stop = async (graceSeconds: number) => {
    if (graceSeconds > 0) await client.run(stopArguments(name, graceSeconds));
    await remove(client, name);
    await ended;
    output.kill();
  };
  return { port, ended, stop: (graceSeconds) => (stopped ??= stop(graceSeconds)) };
}

/** Waits for a container's end; the wait itself ends early when the engine is restarted, and is begun again then. */
async function waitForEnd(client: Client, name: string): Promise<Ending> {
  for (let attempt = 0; ; attempt++) {
    const { output, failure } = await client.run(waitArguments(name));
    if (failure === undefined && /^-?\d+$/.test(output)) return { reason: endOf(Number(output)) };
    if (isGone(failure) || attempt > 10) return { reason: 'lost its container' };
    await pause(500);
  }
}

function endOf(code: number): string {
  if (code === 137) return 'was killed by SIGKILL';
  if (code === 143) return 'was killed by SIGTERM';
  return `exited with code ${code}`;
}

/** Removes a container, trying again while the engine does not answer; a restart of ours sweeps what stays. */
async function remove(client: Client, name: string): Promise<void> {
  for (let attempt = 0; attempt < 8; attempt++) {
    const { failure } = await client.run(removeArguments([name]));
    if (failure === undefined || isGone(failure)) return;
    await pause(250 * 2 ** attempt);
  }
}

const isGone = (failure: string | undefined) => failure !== undefined && /no (?:such )?container/i.test(failure);

/** What the engine's client says is about names and images, never about values: those are in a file it does not quote. */
function firstLine(stderr: string | undefined): string {
  const line = (stderr ?? '').split('\n').find((line) => line.trim() !== '') ?? 'the engine does not answer';
  return line
    .replace(/^(?:docker|Error): /, '')
    .replace(/^Error response from daemon: /, '')
    .slice(0, 300);
}
