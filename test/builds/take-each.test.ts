import { describe, expect, it } from 'vitest';
import { takeEach, type ComingObject } from '../../functions/builds/take-each.ts';

const kibibyte = 1024;

async function* bodyOf(size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < size; at += 64 * kibibyte) yield new Uint8Array(Math.min(64 * kibibyte, size - at));
}
/** Objects as a request brings them: each is read to its end before the next. */
function request(sizes: readonly number[]) {
  const asked: number[] = [];
  async function* sent() {
    for (const [index, size] of sizes.entries()) {
      asked.push(index);
      const body = bodyOf(size);
      yield { filename: String(index), body };
      for await (const chunk of body) void chunk;
    }
  }
  return { asked, sent: sent() };
}
async function sizeOf({ body }: ComingObject): Promise<number> {
  let size = 0;
  for await (const chunk of body) size += chunk.byteLength;
  return size;
}

describe('objects that come in', () => {
  it('are taken whole, small and large, and told in their order', async () => {
    const sizes = [0, 1, 256 * kibibyte, 256 * kibibyte + 1, 3_000_000, 7];
    expect(await takeEach(request(sizes).sent, sizeOf)).toEqual(sizes);
  });

  it('are taken several at once where they are small, at most 32, and their size is known', async () => {
    let active = 0;
    let most = 0;
    const known: (number | undefined)[] = [];
    await takeEach(request(Array.from({ length: 100 }, () => 10)).sent, async (object) => {
      active += 1;
      most = Math.max(most, active);
      known.push(object.sizeBytes);
      await new Promise((resolve) => setImmediate(resolve));
      active -= 1;
    });
    expect(most).toBe(32);
    expect(new Set(known)).toEqual(new Set([10]));
  });

  it('are taken one after the other where they are large, as none is held whole', async () => {
    const large = 1_000_000;
    let isTaking = false;
    const sizes = await takeEach(request([large, large, large]).sent, async (object) => {
      expect(isTaking).toBe(false);
      isTaking = true;
      expect(object.sizeBytes).toBeUndefined();
      const size = await sizeOf(object);
      isTaking = false;
      return size;
    });
    expect(sizes).toEqual([large, large, large]);
  });

  it('are read no more when one is refused, and those under way come to their end', async () => {
    const { asked, sent } = request(Array.from({ length: 1000 }, () => 10));
    const ended: string[] = [];
    const taking = takeEach(sent, async ({ filename }) => {
      await new Promise((resolve) => setImmediate(resolve));
      if (filename === '5') throw new Error('no such object');
      await new Promise((resolve) => setTimeout(resolve, 20));
      ended.push(filename);
    });
    await expect(taking).rejects.toThrow('no such object');
    expect(asked.length).toBeLessThan(100);
    expect(ended).toHaveLength(asked.length - 1);
  });

  it('end with the request that breaks off', async () => {
    let ended = 0;
    async function* broken() {
      yield { filename: '0', body: bodyOf(10) };
      throw new Error('connection lost');
    }
    const taking = takeEach(broken(), async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      ended += 1;
    });
    await expect(taking).rejects.toThrow('connection lost');
    expect(ended).toBe(1);
  });
});
