import type { Backend } from './backend.ts';

/** The serving tasks of a target. */
export type Pool = {
  add(backend: Backend): void;
  remove(backend: Backend): void;
  size(): number;
  /** Whether requests may wait for a task: false when the target is meant to run none, or shuts down. */
  setOpen(open: boolean): void;
  isOpen(): boolean;
  /** The task with the least in flight, in turn among equals; the one named by `sticky` when it serves. */
  pick(choice?: PoolChoice): Backend | undefined;
  /** Resolves when a task comes, the pool shuts, or the time is over. */
  change(waitMs: number): Promise<void>;
  waiting(): number;
};
export type PoolChoice = { readonly sticky?: string | undefined; readonly without?: ReadonlySet<string> };

export function pool(): Pool {
  let backends: readonly Backend[] = [];
  let open = true;
  let turn = 0;
  const waiters = new Set<() => void>();
  const wake = () => {
    for (const waiter of waiters) waiter();
  };
  return {
    add: (backend) => {
      backends = [...backends, backend];
      wake();
    },
    remove: (backend) => {
      backends = backends.filter((other) => other !== backend);
    },
    size: () => backends.length,
    setOpen: (value) => {
      open = value;
      if (!open) wake();
    },
    isOpen: () => open,
    pick: ({ sticky, without } = {}) => {
      const usable = without?.size ? backends.filter((backend) => !without.has(backend.id)) : backends;
      const known = sticky === undefined ? undefined : usable.find((backend) => backend.token === sticky);
      return known ?? leastBusy(usable, turn++);
    },
    change: (waitMs) =>
      new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer);
          waiters.delete(done);
          resolve();
        };
        const timer = setTimeout(done, waitMs);
        waiters.add(done);
      }),
    waiting: () => waiters.size,
  };
}

function leastBusy(backends: readonly Backend[], turn: number): Backend | undefined {
  let best: Backend | undefined;
  for (let step = 0; step < backends.length; step++) {
    const candidate = backends[(turn + step) % backends.length];
    if (candidate && (!best || candidate.inFlight() < best.inFlight())) best = candidate;
  }
  return best;
}
