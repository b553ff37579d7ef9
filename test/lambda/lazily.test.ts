import { describe, expect, it } from 'vitest';
import { lazily } from '../../functions/lambda/lazily.ts';

type Port = { add(a: number, b: number): Promise<number>; fail(): Promise<void> };
const names = { add: true, fail: true } as const;
const port: Port = {
  add: async (a, b) => a + b,
  fail: async () => {
    throw new Error('it failed');
  },
};

describe('a port that is loaded lazily', () => {
  it('is loaded by the first call and by no other, also when calls come at once', async () => {
    let loads = 0;
    const lazy = lazily<Port>(names, async () => {
      loads += 1;
      return port;
    });
    expect(loads).toBe(0);
    expect(await Promise.all([lazy.add(1, 2), lazy.add(3, 4)])).toEqual([3, 7]);
    await expect(lazy.fail()).rejects.toThrow('it failed');
    expect(await lazy.add(5, 6)).toBe(11);
    expect(loads).toBe(1);
  });

  it('is loaded again after a load that failed', async () => {
    let loads = 0;
    const lazy = lazily<Port>(names, async () => {
      loads += 1;
      if (loads === 1) throw new Error('not there');
      return port;
    });
    await expect(lazy.add(1, 2)).rejects.toThrow('not there');
    expect(await lazy.add(1, 2)).toBe(3);
  });
});
