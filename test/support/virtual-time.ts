/**
 * Time that passes only when nothing else can happen: what is at work comes to its end first, then the clock goes to
 * the next moment that somebody waits for. So half an hour of waiting takes no time, and comes out the same every time.
 */
export function virtualTime(clock: { readonly now: () => number; readonly pass: (ms: number) => void }) {
  const timers = new Set<{ readonly at: number; readonly run: () => void }>();
  let busy = 0;
  let moves = 0;

  /** Somebody is at work until the promise settles. */
  async function work<T>(does: () => Promise<T>): Promise<T> {
    busy += 1;
    moves += 1;
    try {
      return await does();
    } finally {
      busy -= 1;
      moves += 1;
    }
  }

  function after(ms: number, run: () => void): { readonly cancel: () => void } {
    const timer = { at: clock.now() + ms, run };
    timers.add(timer);
    return { cancel: () => void timers.delete(timer) };
  }

  /** Resolves when nobody is at work, and nothing that has just ended has led to more. */
  async function idle(): Promise<void> {
    const deadline = Date.now() + 30_000;
    for (let quiet = 0; quiet < 4;) {
      const before = moves;
      await new Promise((resolve) => setImmediate(resolve));
      quiet = busy === 0 && moves === before ? quiet + 1 : 0;
      if (Date.now() > deadline) throw new Error(`${busy} are at work and do not come to an end`);
    }
  }

  /**
   * Goes to the next moment that somebody waits for, and lets it happen: what is due at one moment happens one after the
   * other, each to its end.
   */
  async function step(): Promise<void> {
    await idle();
    const at = Math.min(...[...timers].map((timer) => timer.at));
    if (at === Infinity) throw new Error('Nothing will happen any more');
    clock.pass(Math.max(0, at - clock.now()));
    for (const timer of [...timers].filter((entry) => entry.at <= at)) {
      timers.delete(timer);
      timer.run();
      await idle();
    }
  }

  return { now: clock.now, work, after, idle, step, cancelAll: () => timers.clear() };
}

export type VirtualTime = ReturnType<typeof virtualTime>;
