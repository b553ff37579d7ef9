import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rateLimiter } from '../../functions/access/rate.ts';
import type { Records } from '../../functions/ports/records.ts';
import { silentLog } from '../../functions/runtime/log.ts';
import type { OpenRecords } from '../../local/records.ts';
import { openTestRecords } from '../support/records.ts';

const start = 1_700_000_040_000;
let now: number;
let stores: OpenRecords;
beforeEach(async () => {
  now = start;
  stores = await openTestRecords({ clock: () => now });
});
afterEach(async () => {
  await stores.close();
});

const limiter = (perMinute: number, records: Records = stores.records) =>
  rateLimiter({ records, clock: () => now, log: silentLog, perMinute });
const token = { jti: 'j1' };

/** How many of so many requests pass. */
async function passing(take: ReturnType<typeof limiter>, count: number, asker: { jti?: string } = token) {
  let passed = 0;
  for (let at = 0; at < count; at += 1) if ((await take(asker)) === undefined) passed += 1;
  return passed;
}

describe('a token', () => {
  it('makes so many requests within a minute, and is told how long to wait', async () => {
    const take = limiter(100);
    expect(await passing(take, 150)).toBe(100);
    now += 20_000;
    expect(await take(token)).toBe(60 - 20 - (start % 60_000) / 1000);
    now = Math.ceil(now / 60_000) * 60_000;
    expect(await passing(take, 150)).toBe(100);
  });

  it('is counted apart from others', async () => {
    const take = limiter(10);
    expect([await passing(take, 20), await passing(take, 20, { jti: 'j2' }), await passing(take, 20, {})]).toEqual([
      10, 10, 10,
    ]);
  });

  it('shares one count among many machines, but for what they have not told each other', async () => {
    const machines = Array.from({ length: 10 }, () => limiter(200));
    let passed = 0;
    for (let round = 0; round < 60; round += 1) {
      now += 100;
      for (const take of machines) passed += await passing(take, 1);
    }
    expect(passed).toBeGreaterThanOrEqual(200);
    // Each knows of the others' once a second, and so of ten requests of its own at most.
    expect(passed).toBeLessThanOrEqual(200 + 10 * 10);
  });

  it('shares it at once when it hurries', async () => {
    const [one, other] = [limiter(100), limiter(100)];
    expect(await passing(one, 90)).toBe(90);
    expect(await passing(other, 90)).toBeLessThanOrEqual(90 - 50);
  });

  it('is counted when all come at once, too', async () => {
    const take = limiter(50);
    const answers = await Promise.all(Array.from({ length: 200 }, async () => await take(token)));
    expect(answers.filter((wait) => wait === undefined)).toHaveLength(50);
  });

  it('goes on while the count cannot be shared, and is counted here', async () => {
    const broken = { ...stores.records, find: async () => await Promise.reject(new Error('gone')) } as Records;
    expect(await passing(limiter(30, broken), 60)).toBe(30);
  });
});

describe('the admin token', () => {
  it('costs no write', async () => {
    const written: string[] = [];
    const records: Records = {
      ...stores.records,
      create: async (key, ...rest) => {
        written.push(key.partition);
        return await stores.records.create(key, ...rest);
      },
    };
    const take = limiter(100, records);
    await passing(take, 60, {});
    expect(written).toEqual([]);
    await passing(take, 60);
    expect(written).toEqual(['rate/j1']);
  });
});
