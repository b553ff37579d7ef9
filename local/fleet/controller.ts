import type { RolloutObservation, TargetView } from '../../functions/ports/fleet.ts';
import type { Log } from '../../functions/runtime/log.ts';
import { crew, type CrewOptions } from './crew.ts';
import { doors } from './doors.ts';
import { breaker } from './failures.ts';
import { kept } from './kept.ts';
import { countTasks, desiredNow, liveRollout, observe, viewOf } from './observe.ts';
import { limits, plan } from './plan.ts';
import { pool } from './pool.ts';
import { proxy, type Proxy } from './proxy.ts';
import type { StateFiles } from './state-file.ts';
import type { Task } from './task.ts';
import { begin, end, turnBack, undo, type Outcome, type Setting, type TargetState } from './target-state.ts';

export type ControllerOptions = Pick<CrewOptions, 'launch' | 'clock' | 'newId' | 'backoff'> & {
  readonly state: TargetState;
  readonly files: StateFiles;
  readonly log: Log;
  readonly onChange: (rolloutId: string) => void;
  readonly host: string;
  readonly waitMs: number;
};

/** One target: brings its tasks to what its state says, step by step, after every change of either. */
export type Controller = {
  readonly proxy: Proxy;
  state(): TargetState;
  begin(setting: Setting): Promise<void>;
  undo(rolloutId: string, reason: string): Promise<void>;
  scale(desiredCount: number): Promise<void>;
  observe(rolloutId: string): RolloutObservation | undefined;
  view(): TargetView;
  /** After a restart: what is stable comes first, then an interrupted rollout begins anew. */
  resume(): void;
  /** Drains and stops everything; resolves when nothing runs and no port is open. The state stays. */
  close(): Promise<void>;
  /** The same, and the state goes. */
  retire(): Promise<void>;
};

export function controller(options: ControllerOptions): Controller {
  const { log } = options;
  const store = kept(options.state, options);
  const state = () => store.get();
  let attempt = newAttempt();
  let closing: Promise<void> | undefined;
  let published = '';
  let timer: NodeJS.Timeout | undefined;
  let woken = false;

  const policy = () => (state().active?.setting ?? state().stable)?.policy;
  const serving = pool();
  const door = proxy({
    pool: serving,
    sticky: () => policy()?.stickySessions ?? false,
    newId: options.newId,
    waitMs: options.waitMs,
    maxWaiting: 1000,
  });
  const ports = doors({
    host: options.host,
    proxy: door,
    onFailure: (reason) => log.warn('a target cannot be reached on its port', { reason }),
  });
  const tasks = crew({
    ...options,
    pool: serving,
    drainSeconds: () => policy()?.drainSeconds ?? 0,
    onServing: (task) => attempt.row.healthy(task.id),
    onFailed: (task, failure) => failed(task, failure),
    onChange: () => wake(),
  });

  const wanted = () => (!attempt.restoring && isRolling(state()) ? state().active?.setting : state().stable);
  const desired = () => (attempt.restoring ? state().active?.desiredBefore : undefined) ?? desiredNow(state());

  const commit = (next: TargetState): Promise<void> => {
    const written = store.set(next);
    wake();
    return written;
  };
  /** For changes nobody waits for: a write that failed is logged and tried again. */
  const commitOwn = (next: TargetState) => void commit(next).catch(() => {});
  const tell = async (id: string) => {
    await store.saved();
    options.onChange(id);
  };
  const publish = () => {
    const id = liveRollout(state());
    const marker = id === undefined ? undefined : observe(state(), tasks.list(), id)?.marker;
    if (id === undefined || `${id} ${marker}` === published) return;
    published = `${id} ${marker}`;
    void tell(id);
  };

  const failed = (task: Task, { reason, wasTold }: { reason: string; wasTold: boolean }) => {
    log.warn('a task failed', { task: task.id, revision: task.revision.id, reason });
    const lastFailure = { at: options.clock(), reason: `a task ${reason}` };
    commitOwn({ ...state(), failures: state().failures + 1, lastFailure });
    if (!wasTold) judge(task, reason);
  };
  /** What a failure means for the rollout that is on. */
  const judge = (task: Task, reason: string) => {
    const { active } = state();
    if (!active || task.revision.id !== wanted()?.revision.id) return;
    const inARow = attempt.row.failed(task.id);
    const counts = isRolling(state()) && !attempt.restoring;
    if (counts) commitOwn({ ...state(), active: { ...active, failed: active.failed + 1 } });
    if (inARow < active.setting.policy.failureThreshold) return;
    giveUp(inARow === 1 ? `a task ${reason}` : `${inARow} tasks in a row failed; the last one ${reason}`);
  };
  /** What is under way cannot be brought about: a rollout turns back, a revert ends, a restart goes on. */
  const giveUp = (why: string) => {
    const { active } = state();
    if (!active) return;
    if (attempt.restoring) beginAttempt();
    else if (active.phase === 'rolling') turn(why);
    else finish('revert_failed', `${active.reason}; the revision from before could not be put back: ${why}`);
  };
  const turn = (reason: string) => {
    log.warn('a rollout is turned back', { rollout: state().active?.setting.rolloutId, reason });
    attempt = newAttempt();
    commitOwn(turnBack(state(), reason));
  };
  const finish = (status: Outcome['status'], reason: string) => {
    log.info('a rollout ended', { rollout: state().active?.setting.rolloutId, status, reason });
    attempt = newAttempt();
    commitOwn(end(state(), { status, reason, counts: liveCounts() }));
    ports.keepOnly(portsOf(state()));
  };
  const liveCounts = () => {
    const last = state().outcomes.at(-1);
    const revisionId = state().active?.setting.revision.id ?? last?.revisionId ?? '';
    const failed = state().active?.failed ?? last?.counts.failed ?? 0;
    return countTasks(state(), tasks.list(), { revisionId, failed });
  };

  /** The new setting's port comes before its tasks: a rollout that cannot be reached is none. */
  const beginAttempt = () => {
    const mine = newAttempt();
    attempt = mine;
    wake();
    const port = isRolling(state()) ? state().active?.setting.listenPort : undefined;
    if (port === undefined || ports.isOpen(port)) return;
    mine.opening = true;
    void open(port, mine);
  };
  const open = async (port: number, mine: Attempt) => {
    const failure = await ports.open(port);
    mine.opening = false;
    if (mine !== attempt || closing) return;
    if (failure === undefined) wake();
    else turn(failure);
  };

  const wake = () => {
    if (woken) return;
    woken = true;
    queueMicrotask(() => {
      woken = false;
      step();
    });
  };
  const step = () => {
    if (!closing) {
      const port = state().stable?.listenPort;
      if (port !== undefined) ports.keepOpening(port);
      serving.setOpen(desired() > 0);
      act();
      settle();
      arm();
    }
    publish();
  };
  const act = () => {
    const rules = policy();
    if (!rules) return;
    const { active, stable } = state();
    const goesOn = stable && stable.revision.id !== wanted()?.revision.id;
    const keep = active && goesOn ? limits(Math.min(active.desiredBefore, desired()), rules).min : 0;
    const planned = plan({
      desired: desired(),
      ...limits(desired(), rules),
      keep,
      tasks: tasks.planTasks(wanted()),
      mayStart: tasks.mayStart(wanted()) && !attempt.opening,
      mayStartOld: tasks.mayStart(stable),
    });
    tasks.carryOut(planned, { wanted: wanted(), old: stable });
  };
  const settle = () => {
    const { active } = state();
    if (!active || attempt.opening) return;
    const count = tasks.servingOf(wanted());
    if (count >= desired()) attempt.reached = true;
    if (count >= desired() && attempt.restoring) return beginAttempt();
    const others = tasks.list().some((task) => task.revision.id !== wanted()?.revision.id);
    if (count >= desired() && !others) {
      return active.phase === 'rolling' ? finish('succeeded', '') : finish('reverted', active.reason);
    }
    if (attempt.reached || performance.now() < deadline()) return;
    const late = `${count} of ${desired()} tasks served after ${active.setting.policy.timeLimitSeconds} s`;
    const last = attempt.row.length() > 0 ? state().lastFailure : undefined;
    giveUp(last ? `${late}; last failure: ${last.reason}` : late);
  };
  const deadline = () => attempt.beganAt + (state().active?.setting.policy.timeLimitSeconds ?? Infinity) * 1000;
  /** Looks again when a backoff or the time limit is over. */
  const arm = () => {
    clearTimeout(timer);
    const now = performance.now();
    const times = [tasks.startsAt(wanted()), tasks.startsAt(state().stable), attempt.reached ? Infinity : deadline()];
    const next = Math.min(...times.filter((time) => time > now));
    if (Number.isFinite(next)) timer = setTimeout(wake, next - now + 1);
  };

  const shutDown = async () => {
    clearTimeout(timer);
    serving.setOpen(false);
    const closed = ports.close();
    await tasks.leave();
    ports.cut();
    await closed;
    await store.saved();
  };
  return {
    proxy: door,
    state,
    begin: (setting) => {
      const takenOver = state().active?.setting.rolloutId;
      const written = commit(begin(state(), setting, liveCounts()));
      if (takenOver !== undefined) void tell(takenOver);
      beginAttempt();
      return written;
    },
    undo: (rolloutId, reason) => {
      const before = state();
      const next = undo(before, rolloutId, reason);
      if (next === before) return store.saved();
      if (next.active !== before.active) attempt = newAttempt();
      const written = commit(next);
      void tell(rolloutId);
      return written;
    },
    scale: (desiredCount) => commit({ ...state(), desiredCount }),
    observe: (rolloutId) => observe(state(), tasks.list(), rolloutId),
    view: () => viewOf(state(), tasks.list()),
    resume: () => {
      beginAttempt();
      attempt.restoring = isRolling(state()) && state().stable !== undefined;
    },
    close: () => (closing ??= shutDown()),
    retire: async () => {
      if (!state().retired) await commit({ ...state(), retired: true });
      await (closing ??= shutDown());
      await options.files.remove(state());
    },
  };
}

/** What is known of the way a rollout, its revert, or a restart goes; each begins anew. */
type Attempt = ReturnType<typeof newAttempt>;
function newAttempt() {
  return {
    beganAt: performance.now(),
    /** Full capacity was reached: the time limit has done its work. */
    reached: false,
    /** Its port is not listened on yet. */
    opening: false,
    /** The stable revision is brought back after a restart, before the rollout begins anew. */
    restoring: false,
    row: breaker(),
  };
}

const isRolling = (state: TargetState) => state.active?.phase === 'rolling';

function portsOf(state: TargetState): ReadonlySet<number> {
  const ports = [state.stable?.listenPort, state.active?.setting.listenPort];
  return new Set(ports.filter((port) => port !== undefined));
}
