import type { Revision, TaskView } from '../../functions/ports/fleet.ts';
import { messageOf, Problem } from '../../functions/runtime/errors.ts';
import { backend, type Backend } from './backend.ts';
import { watchHealth } from './health.ts';
import type { Pool } from './pool.ts';
import type { Ending, RunningTask } from './runner.ts';

export type TaskEvents = {
  readonly onServing: (task: Task) => void;
  /** It ended, or turned or stayed unhealthy, without being told to. */
  readonly onFailed: (task: Task, failure: { reason: string; wasTold: boolean }) => void;
  /** Nothing of it is left. */
  readonly onGone: (task: Task) => void;
  readonly onChange: () => void;
};
export type TaskOptions = {
  readonly id: string;
  readonly revision: Revision;
  readonly startedAt: number;
  readonly launch: () => Promise<RunningTask>;
  readonly pool: Pool;
  /** How long an unhealthy task may finish what it has. */
  readonly drainSeconds: () => number;
  readonly events: TaskEvents;
};

export type Task = {
  readonly id: string;
  readonly revision: Revision;
  state(): TaskView['state'];
  view(): TaskView;
  /** Since when it serves; undefined before. */
  servingSince(): number | undefined;
  /** It failed, and why is being found out. */
  isExamined(): boolean;
  /** No new request; what is in flight finishes, at most so many seconds; then SIGTERM and so on. */
  drain(seconds: number): void;
  /** Ends it without waiting for what is in flight. */
  stop(): void;
};

/** Starts a task and sees it through: starting → serving → draining → stopping → gone, or failed on the way. */
export function startTask(options: TaskOptions): Task {
  const { id, revision, pool, events } = options;
  let state: TaskView['state'] = 'starting';
  let running: RunningTask | undefined;
  let servingSince: number | undefined;
  let ending = false;
  let launchFailed = false;
  let examined = false;
  let unwatch = () => {};
  let door: Backend | undefined;

  const become = (next: TaskView['state']) => {
    state = next;
    events.onChange();
  };
  /** Once only: whatever ends a task first decides how. */
  const finish = async (drainSeconds: number) => {
    if (ending) return;
    ending = true;
    unwatch();
    if (door) {
      pool.remove(door);
      await within(door.idle(), drainSeconds);
      door.cut();
      door.close();
    }
    if (state === 'draining') become('stopping');
    await halt(running, revision.stopTimeoutSeconds);
    // Before the launch is through there is nothing to stop yet: `launched` does it then.
    if (running || launchFailed) events.onGone(task);
  };
  const fail = (reason: string, drainSeconds: number) => {
    if (state === 'stopping' || state === 'failed') return;
    const wasTold = ending;
    if (!wasTold) become('failed');
    report(reason, { wasTold, drainSeconds });
  };
  const report = (reason: string, { wasTold = false, drainSeconds = 0 }) => {
    events.onFailed(task, { reason, wasTold });
    void finish(drainSeconds);
  };
  /** Out of the proxy at once; but a check may see a task's end sooner than the engine tells of it, and how. */
  const turnSilent = async (reason: string) => {
    if (ending || state === 'failed') return;
    if (door) pool.remove(door);
    examined = true;
    become('failed');
    const end = running && (await within(running.ended, examinationSeconds));
    examined = false;
    if (end) report(endReason(end), { drainSeconds: 0 });
    else report(reason, { drainSeconds: options.drainSeconds() });
  };
  const endReason = ({ reason }: Ending) => (servingSince === undefined ? `${reason} before it was healthy` : reason);
  const serve = (port: number) => {
    servingSince = performance.now();
    door = backend(id, port);
    pool.add(door);
    become('serving');
    events.onServing(task);
  };
  const watch = (port: number) => {
    unwatch = watchHealth({
      port,
      health: revision.health,
      onHealthy: () => serve(port),
      onUnhealthy: (reason, answered) => {
        if (answered) fail(reason, options.drainSeconds());
        else void turnSilent(reason);
      },
    });
  };
  const ended = (end: Ending) => {
    door?.cut();
    fail(endReason(end), 0);
  };
  const launch = async (): Promise<void> => {
    if (ending) return events.onGone(task);
    try {
      running = await options.launch();
    } catch (error) {
      launchFailed = true;
      if (ending) return events.onGone(task);
      return fail(`could not be started: ${startFailure(error)}`, 0);
    }
    if (ending) {
      await halt(running, 0);
      return events.onGone(task);
    }
    watch(running.port);
    const end = await running.ended;
    if (!end.portTaken || state !== 'starting' || ending) return ended(end);
    // Somebody took the port between our look and the task's: not the task's fault.
    unwatch();
    const lost = running;
    running = undefined;
    await halt(lost, 0);
    return launch();
  };

  const task: Task = {
    id,
    revision,
    state: () => state,
    servingSince: () => servingSince,
    isExamined: () => examined,
    view: () => ({ id, revisionId: revision.id, state, startedAt: options.startedAt, inFlight: door?.inFlight() ?? 0 }),
    drain: (seconds) => {
      if (ending || state === 'failed') return;
      become('draining');
      void finish(seconds);
    },
    stop: () => {
      if (ending || state === 'failed') return door?.cut();
      become('stopping');
      void finish(0);
    },
  };
  void launch();
  return task;
}

/** What an error on the way to a running task tells: ours are for people, others may hold what a command printed. */
function startFailure(error: unknown): string {
  if (error instanceof Problem) return error.message;
  return (error as NodeJS.ErrnoException).code ?? messageOf(error);
}

/** What cannot be ended now (the engine does not answer) is swept away at the next start of the fleet. */
async function halt(running: RunningTask | undefined, graceSeconds: number): Promise<void> {
  await running?.stop(graceSeconds).catch(() => {});
}

/** What it resolves with, or undefined when that takes longer. */
async function within<T>(done: Promise<T>, seconds: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), seconds * 1000);
  });
  const first = await Promise.race([done, limit]);
  clearTimeout(timer);
  return first;
}

const examinationSeconds = 1;
