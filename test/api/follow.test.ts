import { describe, expect, it } from 'vitest';
import { follow } from '../../functions/api/follow.ts';

/** Follows what has its news after so many seconds; how long it paused between the reads. */
async function pauses(options: { newsAfterSeconds: number; waitSeconds: number; everyMs?: number }) {
  let now = 0;
  const paused: number[] = [];
  const page = await follow(
    async () => now >= options.newsAfterSeconds * 1000,
    (isNews) => isNews,
    {
      clock: () => now,
      sleep: async (ms) => {
        paused.push(Math.round(ms));
        now += ms;
      },
      signal: new AbortController().signal,
      ...options,
    },
  );
  return { page, paused };
}

describe('whoever follows', () => {
  it('is told at once, and soon after while there is news', async () => {
    expect(await pauses({ newsAfterSeconds: 0, waitSeconds: 20 })).toEqual({ page: true, paused: [] });
    expect(await pauses({ newsAfterSeconds: 0.3, waitSeconds: 20 })).toEqual({ page: true, paused: [200, 250] });
  });

  it('has fewer and fewer reads made where nothing happens, and is answered in time', async () => {
    const { page, paused } = await pauses({ newsAfterSeconds: 60, waitSeconds: 20, everyMs: 1000 });
    expect(page).toBe(false);
    expect(paused.slice(0, 6)).toEqual([1000, 1250, 1563, 1953, 2441, 3000]);
    expect(paused).toHaveLength(9);
    expect(paused.reduce((sum, ms) => sum + ms, 0)).toBe(20_000);
  });
});
