/** So many at once and no more; those who come later wait in their order. */
export type Slots = {
  /** Runs something when there is room. Rejects, without having begun, when the signal is aborted by then. */
  readonly run: <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T>;
  /** Resolves when there is room, which is then taken; call what it answers with to give it back. */
  readonly take: (signal: AbortSignal) => Promise<() => void>;
};

export function createSlots(count: number): Slots {
  let free = count;
  const waiting: (() => void)[] = [];
  const give = () => {
    const next = waiting.shift();
    if (next) next();
    else free++;
  };
  const take = async (signal: AbortSignal) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    if (signal.aborted) {
      give();
      signal.throwIfAborted();
    }
    let given = false;
    return () => {
      if (!given) give();
      given = true;
    };
  };
  const run = async <T>(work: () => Promise<T>, signal: AbortSignal) => {
    const done = await take(signal);
    try {
      return await work();
    } finally {
      done();
    }
  };
  return { run, take };
}

/**
 * Runs tasks, so many at once. When one fails the signal that each is given is aborted, no other is begun, and it
 * rejects with that failure once all that were begun have ended.
 */
export async function runAll(
  tasks: readonly ((signal: AbortSignal) => Promise<void>)[],
  { atOnce, signal }: { atOnce: number; signal: AbortSignal },
): Promise<void> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  let failure: { readonly error: unknown } | undefined;
  let next = 0;
  const worker = async () => {
    while (next < tasks.length && !either.aborted) {
      try {
        await tasks[next++]?.(either);
      } catch (error) {
        failure ??= { error };
        stop.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, tasks.length) }, async () => await worker()));
  signal.throwIfAborted();
  if (failure) throw failure.error;
}
