import { describe, expect, it } from 'vitest';
import { createSlots, runAll } from '../../cli/push/slots.ts';
import { counted, sizeText } from '../../cli/size.ts';

const never = new AbortController().signal;

describe('slots', () => {
  it('let so many in at once, the others in their order', async () => {
    const slots = createSlots(2);
    const begun: number[] = [];
    const gates = [0, 1, 2, 3].map(() => Promise.withResolvers<void>());
    const runs = gates.map(async (gate, index) => {
      await slots.run(async () => {
        begun.push(index);
        await gate.promise;
      }, never);
    });
    await Promise.resolve();
    expect(begun).toEqual([0, 1]);
    gates[1]?.resolve();
    await runs[1];
    expect(begun).toEqual([0, 1, 2]);
    for (const gate of gates) gate.resolve();
    await Promise.all(runs);
    expect(begun).toEqual([0, 1, 2, 3]);
  });

  it('are given back once, also by what fails, and are not taken by whoever is not wanted any more', async () => {
    const slots = createSlots(1);
    await expect(slots.run(async () => await Promise.reject(new Error('no')), never)).rejects.toThrow('no');
    const done = await slots.take(never);
    const stop = new AbortController();
    const waiting = slots.take(stop.signal);
    stop.abort();
    done();
    done();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    const last = await slots.take(never);
    const next = slots.take(never);
    let isIn = false;
    void next.then(() => (isIn = true));
    await Promise.resolve();
    expect(isIn).toBe(false);
    last();
    (await next)();
  });
});

describe('tasks run together', () => {
  it('end with the first failure once all that were begun have ended; no other is begun', async () => {
    const ended: string[] = [];
    const tasks = [
      async () => await Promise.reject(new Error('first')),
      async (signal: AbortSignal) => {
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        ended.push('second');
      },
      async () => void ended.push('third'),
    ];
    await expect(runAll(tasks, { atOnce: 2, signal: never })).rejects.toThrow('first');
    expect(ended).toEqual(['second']);
  });

  it('end with the reason of whoever stops them', async () => {
    const stop = new AbortController();
    const task = async (signal: AbortSignal) => {
      stop.abort();
      signal.throwIfAborted();
    };
    await expect(runAll([task, task], { atOnce: 1, signal: stop.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });
});

describe('sizes for people', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1 kB'],
    [1234, '1.2 kB'],
    [999_600, '1 MB'],
    [45_000_000, '45 MB'],
    [4_294_967_296, '4.3 GB'],
    [5_000_000_000_000, '5 TB'],
  ])('%i bytes are %s', (bytes, text) => {
    expect(sizeText(bytes)).toBe(text);
  });

  it('count in one and in many', () => {
    expect([counted(0, 'object'), counted(1, 'object'), counted(2, 'object')]).toEqual([
      '0 objects',
      '1 object',
      '2 objects',
    ]);
  });
});
