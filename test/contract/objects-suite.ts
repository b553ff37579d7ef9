import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { BlobPage, Objects, Received, StoredBlob } from '../../functions/ports/objects.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import type { Digest } from '../../functions/runtime/units.ts';
import { randomBlob, readAll, send } from './object-blobs.ts';
import { uploadsSuite } from './object-uploads-suite.ts';

export type ObjectsUnderTest = {
  readonly port: Objects;
  /** The reason why signed URLs are not tried; left out where they are. */
  readonly skipUrls?: string;
  /** The reason why it is not tried that the very PUT refuses a body of the wrong digest; left out where it is. */
  readonly skipChecks?: string;
  /** The reason why it is not tried that a part of a wrong length is refused; left out where it is. */
  readonly skipLengths?: string;
  /** Another on the same store, as after a kill; left out where there can be but one. */
  readonly reopen?: () => Promise<Objects>;
  readonly close: () => Promise<void>;
};

/** What every implementation of the Objects port does. Every blob is random, so a store can be shared. */
export function objectsSuite(name: string, make: () => Promise<ObjectsUnderTest>): void {
  describe(`objects: ${name}`, () => {
    let made: ObjectsUnderTest;
    let objects: Objects;

    beforeAll(async () => {
      made = await make();
      objects = made.port;
    });
    afterAll(async () => {
      await made?.close();
    });

    it('is ready', async () => {
      await expect(objects.ready()).resolves.toBeUndefined();
    });

    it.each([0, 1, 65_536, 3_000_001])('gives back a blob of %i bytes as it was stored', async (size) => {
      const blob = randomBlob(size);
      expect(await objects.put(blob.digest, blob.body())).toEqual({ sizeBytes: size });
      expect(await objects.find(blob.digest)).toEqual({ sizeBytes: size });
      expect(await readAll(objects, blob.digest)).toEqual(blob.bytes);
    });

    it('knows nothing of a blob never stored', async () => {
      const { digest } = randomBlob(10);
      expect(await objects.find(digest)).toBeUndefined();
      await expect(objects.read(digest)).rejects.toMatchObject({ kind: 'not-found' });
    });

    it('takes a blob again that is there already', async () => {
      const blob = randomBlob(1000);
      await objects.put(blob.digest, blob.body());
      expect(await objects.put(blob.digest, blob.body())).toEqual({ sizeBytes: 1000 });
      expect(await readAll(objects, blob.digest)).toEqual(blob.bytes);
    });

    it('takes one blob from 20 writers at once, while others read it', async () => {
      const blob = randomBlob(200_000);
      await objects.put(blob.digest, blob.body());
      const work = Array.from({ length: 20 }, async () => {
        await objects.put(blob.digest, blob.body());
        return (await readAll(objects, blob.digest)).equals(blob.bytes);
      });
      expect(await Promise.all(work)).toEqual(Array.from({ length: 20 }, () => true));
    });

    it('refuses bytes of another digest, and stores nothing', async () => {
      const blob = randomBlob(1000);
      const other = randomBlob(1000);
      await expect(objects.put(blob.digest, other.body())).rejects.toMatchObject({ kind: 'invalid' });
      expect(await objects.find(blob.digest)).toBeUndefined();
      expect(await objects.find(other.digest)).toBeUndefined();
    });

    it('leaves the stored blob alone when other bytes come under its digest', async () => {
      const blob = randomBlob(1000);
      await objects.put(blob.digest, blob.body());
      await expect(objects.put(blob.digest, randomBlob(1000).body())).rejects.toMatchObject({ kind: 'invalid' });
      expect(await readAll(objects, blob.digest)).toEqual(blob.bytes);
    });

    it('refuses more than maxBytes, without reading to the end, and stores nothing', async () => {
      const blob = randomBlob(1000);
      let given = 0;
      async function* endless(): AsyncGenerator<Uint8Array> {
        for (; given < 10_000; given += 1) yield blob.bytes;
      }
      const put = objects.put(blob.digest, endless(), { maxBytes: 50_000 });
      await expect(put).rejects.toMatchObject({ kind: 'too-large' });
      expect(given).toBeLessThan(10_000);
      expect(await objects.find(blob.digest)).toBeUndefined();
      expect(await objects.put(blob.digest, blob.body(), { maxBytes: 1000 })).toEqual({ sizeBytes: 1000 });
    });

    it('stores nothing of a body that breaks off', async () => {
      const blob = randomBlob(100_000);
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield blob.bytes.subarray(0, 50_000);
        throw new Error('connection lost');
      }
      await expect(objects.put(blob.digest, broken())).rejects.toThrow('connection lost');
      expect(await objects.find(blob.digest)).toBeUndefined();
    });

    it.each([0, 1, 3_000_001])('receives %i bytes, and says what blob they are', async (size) => {
      const blob = randomBlob(size);
      expect(await objects.receive(blob.body())).toEqual({ digest: blob.digest, sizeBytes: size });
      expect(await readAll(objects, blob.digest)).toEqual(blob.bytes);
    });

    it('receives one blob from 20 at once, while others read it', async () => {
      const blob = randomBlob(200_000);
      await objects.receive(blob.body());
      const work = Array.from({ length: 20 }, async () => {
        await objects.receive(blob.body());
        return (await readAll(objects, blob.digest)).equals(blob.bytes);
      });
      expect(await Promise.all(work)).toEqual(Array.from({ length: 20 }, () => true));
    });

    it('keeps nothing of what was refused when it had come', async () => {
      const blob = randomBlob(1000);
      const seen: Received[] = [];
      const check = (received: Received) => {
        seen.push(received);
        throw new Problem('invalid', 'It is not what its name says');
      };
      await expect(objects.receive(blob.body(), { check })).rejects.toMatchObject({ kind: 'invalid' });
      expect(seen).toEqual([{ digest: blob.digest, sizeBytes: 1000 }]);
      expect(await objects.find(blob.digest)).toBeUndefined();
    });

    it('receives nothing past a limit, nor of a body that breaks off', async () => {
      const blob = randomBlob(100_000);
      await expect(objects.receive(blob.body(), { maxBytes: 99_999 })).rejects.toMatchObject({ kind: 'too-large' });
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield blob.bytes;
        throw new Error('connection lost');
      }
      await expect(objects.receive(broken())).rejects.toThrow('connection lost');
      expect(await objects.find(blob.digest)).toBeUndefined();
      expect(await objects.receive(blob.body(), { maxBytes: 100_000 })).toMatchObject({ sizeBytes: 100_000 });
    });

    it('lists every blob once, in order, page by page, also when that of the cursor has gone', async () => {
      const blobs = Array.from({ length: 5 }, (_, index) => randomBlob(index + 1));
      for (const { digest, body } of blobs) await objects.put(digest, body());
      const pages: BlobPage[] = [];
      let after: string | undefined;
      do {
        const page = await objects.list({ limit: 2, ...(after === undefined ? {} : { after }) });
        pages.push(page);
        after = page.next;
        const last = page.items.at(-1)?.digest;
        if (last !== undefined && last === blobs[0]?.digest) await objects.remove(last);
      } while (after !== undefined);
      const digests = pages.flatMap(({ items }) => items.map(({ digest }) => digest));
      expect(digests).toEqual([...new Set(digests)].sort());
      expect(digests).toEqual(expect.arrayContaining(blobs.map(({ digest }) => digest)));
      expect(pages.slice(0, -1).every(({ items }) => items.length === 2)).toBe(true);
    });

    it('lists what a blob weighs, and when it came last', async () => {
      const blob = randomBlob(321);
      const before = Math.floor(Date.now() / 1000) * 1000;
      await objects.put(blob.digest, blob.body());
      const first = await listed(blob.digest);
      expect(first.sizeBytes).toBe(321);
      expect(first.storedAt).toBeGreaterThanOrEqual(before);
      expect(first.storedAt).toBeLessThanOrEqual(Date.now() + 1000);
      await vi.waitFor(
        async () => {
          await objects.receive(blob.body());
          expect((await listed(blob.digest)).storedAt).toBeGreaterThan(first.storedAt);
        },
        { timeout: 5000, interval: 200 },
      );
    });

    it.each([
      [{ after: 'x' }, 'after'],
      [{ after: 'sha256:../../etc' }, 'after'],
      [{ limit: 0 }, 'limit'],
      [{ limit: 1001 }, 'limit'],
      [{ limit: 1.5 }, 'limit'],
    ])('lists nothing by %j', async (query, field) => {
      await expect(objects.list(query)).rejects.toMatchObject({ kind: 'invalid', issues: [{ field }] });
    });

    async function listed(digest: Digest): Promise<StoredBlob> {
      // The digest before it, for the cursor is not among what follows.
      const before = `sha256:${(BigInt(`0x${digest.slice(7)}`) - 1n).toString(16).padStart(64, '0')}`;
      const found = (await objects.list({ after: before, limit: 1 })).items[0];
      if (found?.digest !== digest) throw new Error('the blob is not listed');
      return found;
    }

    it('removes a blob, once or twice', async () => {
      const blob = randomBlob(10);
      await objects.put(blob.digest, blob.body());
      await objects.remove(blob.digest);
      await objects.remove(blob.digest);
      expect(await objects.find(blob.digest)).toBeUndefined();
    });

    it.each([
      'sha256:',
      'sha256:../../etc/passwd',
      `sha256:${'A'.repeat(64)}`,
      `sha256:${'a'.repeat(63)}`,
      `sha512:${'a'.repeat(64)}`,
    ])('refuses the digest %j', async (text) => {
      const digest = text as Digest;
      const invalid = { kind: 'invalid' };
      await expect(objects.put(digest, randomBlob(1).body())).rejects.toMatchObject(invalid);
      await expect(objects.find(digest)).rejects.toMatchObject(invalid);
      await expect(objects.read(digest)).rejects.toMatchObject(invalid);
      await expect(objects.remove(digest)).rejects.toMatchObject(invalid);
      await expect(objects.downloadUrl(digest, 60)).rejects.toMatchObject(invalid);
      await expect(objects.uploadUrl(digest, 60)).rejects.toMatchObject(invalid);
    });

    describe('signed URLs', () => {
      it('let anybody read just that blob, whole or in part', async ({ skip }) => {
        if (made.skipUrls) skip(made.skipUrls);
        const blob = randomBlob(300_000);
        await objects.put(blob.digest, blob.body());
        const url = await objects.downloadUrl(blob.digest, 60);
        const whole = await fetch(url);
        expect(whole.status).toBe(200);
        expect(Buffer.from(await whole.arrayBuffer())).toEqual(blob.bytes);
        const part = await fetch(url, { headers: { range: 'bytes=1000-1999' } });
        expect(part.status).toBe(206);
        expect(part.headers.get('content-range')).toBe('bytes 1000-1999/300000');
        expect(Buffer.from(await part.arrayBuffer())).toEqual(blob.bytes.subarray(1000, 2000));
      });

      it('let anybody store just that blob', async ({ skip }) => {
        if (made.skipUrls) skip(made.skipUrls);
        const blob = randomBlob(300_000);
        const answer = await send(await objects.uploadUrl(blob.digest, 60), blob.bytes);
        expect(answer.status).toBe(200);
        expect(await readAll(objects, blob.digest)).toEqual(blob.bytes);
      });

      it('take no other bytes than those of the digest', async ({ skip }) => {
        if (made.skipUrls) skip(made.skipUrls);
        if (made.skipChecks) skip(made.skipChecks);
        const blob = randomBlob(1000);
        const answer = await send(await objects.uploadUrl(blob.digest, 60), randomBlob(1000).bytes);
        expect(answer.status).toBe(400);
        expect(await objects.find(blob.digest)).toBeUndefined();
      });

      it('are good for one method, one blob and unchanged only', async ({ skip }) => {
        if (made.skipUrls) skip(made.skipUrls);
        const blob = randomBlob(1000);
        await objects.put(blob.digest, blob.body());
        const other = randomBlob(1000);
        await objects.put(other.digest, other.body());
        const url = await objects.downloadUrl(blob.digest, 60);
        const hexOf = (digest: Digest) => digest.slice('sha256:'.length);
        const attempts: [string, RequestInit?][] = [
          [url, { method: 'PUT', body: new Uint8Array(blob.bytes) }],
          [url.replace(hexOf(blob.digest), hexOf(other.digest))],
          [url.slice(0, -2)],
          [url.slice(0, url.indexOf('?'))],
        ];
        for (const [changed, init] of attempts) {
          const answer = await fetch(changed, init);
          expect(answer.status).toBe(403);
          await answer.body?.cancel();
        }
      });
    });

    uploadsSuite(() => made);
  });
}
