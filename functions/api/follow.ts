import { setTimeout as sleepFor } from 'node:timers/promises';
import type { EpochMs } from '../runtime/units.ts';

/** Waits so many milliseconds; ends early, without an error, when the signal fires. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

export type FollowClock = { readonly clock: () => EpochMs; readonly sleep: Sleep };

export type FollowOptions = FollowClock & {
  readonly waitSeconds: number;
  /** Between the first two reads, later up to three times as much: each read may be paid for. Default 200. */
  readonly everyMs?: number | undefined;
  /** Fires when the client has gone away or the server closes: whoever waits is let go at once. */
  readonly signal: AbortSignal;
};

const defaultEveryMs = 200;
/** Between two reads there is a quarter more each time, up to this many times the first pause. */
const growth = { by: 1.25, most: 3 };

/**
 * A long poll: reads until there is news or the time is up, and gives what the last read found.
 * A read that has begun is always finished, so even with `waitSeconds: 0` there is one.
 */
export async function follow<T>(
  read: () => Promise<T>,
  hasNews: (page: T) => boolean,
  { clock, sleep, waitSeconds, signal, everyMs = defaultEveryMs }: FollowOptions,
): Promise<T> {
  const until = clock() + waitSeconds * 1000;
  let pauseMs = everyMs;
  for (;;) {
    const page = await read();
    const leftMs = until - clock();
    if (hasNews(page) || leftMs <= 0 || signal.aborted) return page;
    await sleep(Math.min(pauseMs, leftMs), signal);
    pauseMs = Math.min(pauseMs * growth.by, everyMs * growth.most);
    if (signal.aborted) return page;
  }
}

export const sleep: Sleep = async (ms, signal) => {
  try {
    await sleepFor(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
};
