import type { Records } from '../ports/records.ts';
import { messageOf } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import type { EpochMs } from '../runtime/units.ts';
import type { Principal } from './principal.ts';

export type RateOptions = {
  readonly records: Records;
  readonly clock: () => EpochMs;
  readonly log: Log;
  readonly perMinute: number;
};

/** What one token did in one minute, as this process knows it. */
type Window = {
  readonly minute: number;
  /** All that was told by then, of this process and of others. */
  told: number;
  /** What this process has not told yet. */
  untold: number;
  toldAt: EpochMs;
};

const minuteMs = 60_000;
/** So often, or after so many requests, what one machine counts is told to the others. */
const tellEveryMs = 1000;
const tellEvery = 25;
const mostWindows = 10_000;
const mostAttempts = 5;

/**
 * Counts a token's requests within each minute of the clock. Answers undefined while it may go on, else the seconds to
 * wait. Where many machines serve, they share one count, about once a second: so a little more than allowed may pass.
 * The admin token is counted by each machine alone, as every request of the command line would else cost a write.
 */
export function rateLimiter({ records, clock, log, perMinute }: RateOptions) {
  const windows = new Map<string, Window>();

  function windowOf(id: string, now: EpochMs): Window {
    const minute = Math.floor(now / minuteMs);
    const found = windows.get(id);
    if (found?.minute === minute) return found;
    const fresh: Window = { minute, told: 0, untold: 0, toldAt: 0 };
    windows.delete(id);
    windows.set(id, fresh);
    const oldest = windows.keys().next();
    if (windows.size > mostWindows && !oldest.done) windows.delete(oldest.value);
    return fresh;
  }

  /** Adds to the shared count; whoever comes while this is on its way counts on by itself. */
  async function tell(id: string, window: Window, now: EpochMs): Promise<void> {
    const count = window.untold;
    window.toldAt = now;
    window.untold = 0;
    window.told += count;
    try {
      const total = await addTo(records, { id, minute: window.minute, count });
      window.told = Math.max(window.told, total);
    } catch (error) {
      log.warn('a count of requests was not shared', { reason: messageOf(error) });
    }
  }

  return async function take({ jti }: Pick<Principal, 'jti'>): Promise<number | undefined> {
    const now = clock();
    const id = jti ?? '';
    const window = windowOf(id, now);
    if (window.told + window.untold >= perMinute) return secondsLeft(now);
    window.untold += 1;
    const isDue = window.untold >= tellEvery || now - window.toldAt >= tellEveryMs;
    if (jti !== undefined && isDue) await tell(id, window, now);
    return window.told + window.untold > perMinute ? secondsLeft(now) : undefined;
  };
}

function secondsLeft(now: EpochMs): number {
  return Math.max(1, Math.ceil((minuteMs - (now % minuteMs)) / 1000));
}

/** The count of all machines after these requests. */
async function addTo(
  records: Records,
  { id, minute, count }: { readonly id: string; readonly minute: number; readonly count: number },
): Promise<number> {
  const key = { partition: `rate/${id}`, sort: String(minute) };
  const options = { expiresAtSeconds: (minute + 2) * 60 };
  let known = 0;
  for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
    const stored = await records.find<{ readonly count: number }>(key);
    known = stored?.value.count ?? 0;
    const value = { count: known + count };
    const written = stored ? await records.replace(stored, value, options) : await records.create(key, value, options);
    if (written) return value.count;
  }
  // Others were faster again and again: what this one counted is missing from theirs, not from its own.
  return known + count;
}
