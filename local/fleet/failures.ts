/** The pause before a crashed revision is started again. */
export type Backoff = { readonly firstMs: number; readonly maxMs: number; readonly steadyMs: number };

export const defaultBackoff: Backoff = { firstMs: 1000, maxMs: 60_000, steadyMs: 60_000 };

/**
 * Counts a revision's failures. The first is followed by a start at once, later ones by pauses that double from
 * `firstMs` to `maxMs`; a task that had served for `steadyMs` begins the count anew.
 */
export type FailureCount = {
  failed(at: number, servedMs: number | undefined): void;
  /** When its next task may start, on the clock of `at`. */
  startsAt(): number;
};

export function failureCount(backoff: Backoff): FailureCount {
  let inARow = 0;
  let startsAt = 0;
  return {
    failed: (at, servedMs) => {
      inARow = servedMs !== undefined && servedMs >= backoff.steadyMs ? 1 : inARow + 1;
      if (inARow > 1) startsAt = at + Math.min(backoff.maxMs, backoff.firstMs * 2 ** (inARow - 2));
    },
    startsAt: () => startsAt,
  };
}

/**
 * The circuit breaker's count: tasks of a revision failed in a row. A task that turns healthy ends the row; one that
 * fails after that takes it up where it stood, so tasks that become healthy and die one after the other add up too.
 */
export type Breaker = {
  healthy(taskId: string): void;
  /** How many in a row, this one included. */
  failed(taskId: string): number;
  length(): number;
};

export function breaker(): Breaker {
  let inARow = 0;
  const before = new Map<string, number>();
  return {
    healthy: (taskId) => {
      before.set(taskId, inARow);
      inARow = 0;
    },
    failed: (taskId) => {
      inARow = Math.max(inARow, before.get(taskId) ?? 0) + 1;
      before.delete(taskId);
      return inARow;
    },
    length: () => inARow,
  };
}
