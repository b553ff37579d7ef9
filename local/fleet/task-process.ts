import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { Objects } from '../../functions/ports/objects.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { findMarks, killTree, spawnTree } from '../process-tree.ts';
import { bundles, type Bundles } from './bundle.ts';
import { captureLines } from './output.ts';
import type { Ending, RunningTask, TaskOrder, TaskRunner } from './runner.ts';
import { isFree, taskPorts, type TaskPorts } from './task-port.ts';

export type ProcessRunnerOptions = {
  readonly data: string;
  /** Tells this data folder's processes from those of others. */
  readonly dataId: string;
  readonly objects: Objects;
  /** PATH, HOME and LANG of tasks; nothing else of this process's environment reaches them. */
  readonly environment: Readonly<Record<string, string>>;
};

/** Runs bundles as processes, in the folder they were unpacked to. */
export function processRunner(options: ProcessRunnerOptions): TaskRunner & { readonly bundles: Bundles } {
  const store = bundles(join(options.data, 'work', 'bundles'), options.objects);
  const ports = taskPorts();
  const prefix = `${options.dataId}/task/`;
  return {
    bundles: store,
    refuses: async (artifact) =>
      (await options.objects.find(artifact.digest)) ? undefined : 'the bundle is not in the object store',
    start: (order) => start({ order, store, ports, mark: prefix + order.taskId, base: options.environment }),
    sweep: async () => {
      await Promise.all((await findMarks(prefix)).map((mark) => killTree(mark, { graceSeconds: 0 })));
    },
  };
}

/** A task's whole environment. HOST keeps apps that heed it off the network: the proxy is their way there. */
export function processEnvironment(
  order: Pick<TaskOrder, 'revision' | 'secrets'>,
  base: Readonly<Record<string, string>>,
  port: number,
): Record<string, string> {
  return { HOST: '127.0.0.1', ...base, ...order.revision.env, ...order.secrets, PORT: String(port) };
}

type Start = {
  order: TaskOrder;
  store: Bundles;
  ports: TaskPorts;
  mark: string;
  base: Readonly<Record<string, string>>;
};

async function start({ order, store, ports, mark, base }: Start): Promise<RunningTask> {
  const { command, artifact } = order.revision;
  if (!command?.length) throw new Problem('invalid', 'a bundle needs runtime.command, the command that starts it');
  const cwd = await store.folder(artifact.digest);
  const port = await ports.take();
  const child = spawnTree({ command, cwd, env: processEnvironment(order, base, port), mark });
  const ended = ending(child);
  capture(child, order);
  let stopped: Promise<void> | undefined;
  return {
    port,
    // Whether the port is another's can be told only when nothing of ours is left to hold it.
    ended: ended.then(async (end) => {
      if (stopped) return end;
      await killTree(mark, { graceSeconds: 0 });
      return { ...end, portTaken: !(await isFree(port)) };
    }),
    stop: (graceSeconds) =>
      (stopped ??= killTree(mark, { graceSeconds })
        .then(() => ended)
        .then(() => ports.release(port))),
  };
}

function ending(child: ChildProcess): Promise<Ending> {
  return new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      resolve({ reason: `could not be started (${error.code ?? 'unknown error'})` }),
    );
    child.once('exit', (code, signal) =>
      resolve({ reason: signal ? `was killed by ${signal}` : `exited with code ${code}` }),
    );
  });
}

function capture(child: ChildProcess, order: TaskOrder): void {
  const options = { secrets: Object.values(order.secrets), write: order.write };
  for (const stream of [child.stdout, child.stderr]) if (stream) void captureLines(stream, options).catch(() => {});
}
