import { request } from 'node:http';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Objects, Upload, UploadPart, UploadRef } from '../../functions/ports/objects.ts';
import { randomBlob, readAll, send } from './object-blobs.ts';
import type { ObjectsUnderTest } from './objects-suite.ts';

type Open = Extract<Upload, { status: 'open' }>;
type SignedPart = Open['missing'][number];
const mebibyte = 1024 ** 2;
/** Two parts of 8 MiB and a rest. */
const blobBytes = 2 * 8 * mebibyte + 12_345;

/** Uploads in parts, which is a part of the contract of the Objects port. */
export function uploadsSuite(get: () => ObjectsUnderTest): void {
  describe('uploads in parts', () => {
    let made: ObjectsUnderTest;
    let objects: Objects;
    const blob = randomBlob(blobBytes);
    beforeEach(async () => {
      made = get();
      objects = made.port;
      // One blob for all, as making one takes longer than most tests: each begins without it.
      await objects.remove(blob.digest);
    });
    const newUpload = (): UploadRef => ({ id: crypto.randomUUID(), digest: blob.digest, sizeBytes: blobBytes });
    const bytesOf = (part: UploadPart) => blob.bytes.subarray(part.offsetBytes, part.offsetBytes + part.sizeBytes);

    async function open(upload: UploadRef, port = objects): Promise<Open> {
      const answer = await port.openUpload(upload, { seconds: 60 });
      if (answer.status !== 'open') throw new Error('it is stored already');
      return answer;
    }
    async function sendParts(parts: readonly SignedPart[]): Promise<void> {
      for (const part of parts) expect((await send(part.put, bytesOf(part))).status).toBe(200);
    }
    const missingOf = async (upload: UploadRef) => (await open(upload)).missing.map((part) => part.number);

    it('says which parts are wanted, of which sizes', async () => {
      const answer = await open(newUpload());
      expect(answer).toMatchObject({ partCount: 3, missingCount: 3 });
      expect(answer.missing.map(({ number, offsetBytes, sizeBytes }) => [number, offsetBytes, sizeBytes])).toEqual([
        [1, 0, 8 * mebibyte],
        [2, 8 * mebibyte, 8 * mebibyte],
        [3, 16 * mebibyte, 12_345],
      ]);
    });

    it('signs no more parts at once than it is asked to', async () => {
      const answer = await objects.openUpload(newUpload(), { seconds: 60, mostParts: 2 });
      expect(answer).toMatchObject({ missingCount: 3, missing: [{ number: 1 }, { number: 2 }] });
    });

    it.each([
      [{ id: '' }, 'id'],
      [{ id: '../x' }, 'id'],
      [{ id: 'a'.repeat(65) }, 'id'],
      [{ digest: 'sha256:../../x' as const }, 'digest'],
      [{ sizeBytes: 0 }, 'sizeBytes'],
      [{ sizeBytes: 1.5 }, 'sizeBytes'],
      [{ sizeBytes: 6 * 1024 ** 4 }, 'sizeBytes'],
    ])('refuses %j', async (change, field) => {
      const upload = { ...newUpload(), ...change };
      const invalid = { kind: 'invalid', issues: [{ field }] };
      await expect(objects.openUpload(upload, { seconds: 60 })).rejects.toMatchObject(invalid);
      await expect(objects.finishUpload(upload)).rejects.toMatchObject(invalid);
      await expect(objects.abandonUpload(upload)).rejects.toMatchObject(invalid);
    });

    it('cannot be finished when it was never opened', async () => {
      await expect(objects.finishUpload(newUpload())).rejects.toMatchObject({ kind: 'conflict' });
    });

    it('becomes the blob when its parts were sent in any order, and leaves nothing', async ({ skip }) => {
      if (made.skipUrls) skip(made.skipUrls);
      const upload = newUpload();
      const { missing } = await open(upload);
      await Promise.all(missing.toReversed().map(async (part) => await sendParts([part])));
      expect(await objects.find(blob.digest)).toBeUndefined();
      expect(await open(upload)).toMatchObject({ missingCount: 0, missing: [] });
      expect(await objects.finishUpload(upload)).toEqual({ sizeBytes: blobBytes });
      expect((await readAll(objects, blob.digest)).equals(blob.bytes)).toBe(true);
      expect(await objects.openUpload(upload, { seconds: 60 })).toEqual({ status: 'stored', sizeBytes: blobBytes });
      await objects.remove(blob.digest);
      expect(await missingOf(upload)).toEqual([1, 2, 3]);
    });

    it('goes on where it was when everybody was killed', async ({ skip }) => {
      if (made.skipUrls) skip(made.skipUrls);
      const upload = newUpload();
      await sendParts((await open(upload)).missing.slice(1, 2));
      const later = (await made.reopen?.()) ?? objects;
      const { missing } = await open(upload, later);
      expect(missing.map((part) => part.number)).toEqual([1, 3]);
      await sendParts(missing);
      expect(await later.finishUpload(upload)).toEqual({ sizeBytes: blobBytes });
    });

    it('names the parts that are missing when it is to be finished, and can still be', async ({ skip }) => {
      if (made.skipUrls) skip(made.skipUrls);
      const upload = newUpload();
      const { missing } = await open(upload);
      await sendParts(missing.slice(0, 1));
      await expect(objects.finishUpload(upload)).rejects.toMatchObject({
        kind: 'conflict',
        message: expect.stringContaining('2, 3') as string,
      });
      await sendParts(missing.slice(1));
      expect(await objects.finishUpload(upload)).toEqual({ sizeBytes: blobBytes });
    });

    it('takes a part twice, and the last one counts', async ({ skip }) => {
      if (made.skipUrls) skip(made.skipUrls);
      const upload = newUpload();
      const { missing } = await open(upload);
      const [first] = missing;
      if (!first) throw new Error('no part');
      expect((await send(first.put, Buffer.alloc(first.sizeBytes))).status).toBe(200);
      await sendParts([...missing, first]);
      expect(await objects.finishUpload(upload)).toEqual({ sizeBytes: blobBytes });
      expect((await readAll(objects, blob.digest)).equals(blob.bytes)).toBe(true);
    });

    it('refuses a part that is too short or too long', async ({ skip }) => {
      if (made.skipUrls) skip(made.skipUrls);
      if (made.skipLengths) skip(made.skipLengths);
      const upload = newUpload();
      const last = (await open(upload)).missing[2];
      if (!last) throw new Error('no part');
      for (const wrong of [bytesOf(last).subarray(1), Buffer.concat([bytesOf(last), Buffer.alloc(1)])]) {
        expect([400, 403, 413]).toContain((await send(last.put, wrong)).status);
      }
      expect(await missingOf(upload)).toEqual([1, 2, 3]);
    });

    it('keeps nothing of a part that breaks off', async ({ skip }) => {
      if (made.skipUrls) skip(made.skipUrls);
      const upload = newUpload();
      const first = (await open(upload)).missing[0];
      if (!first) throw new Error('no part');
      await sendHalf(first, bytesOf(first));
      expect(await missingOf(upload)).toEqual([1, 2, 3]);
    });

    it('refuses what is another blob when it is whole, and begins anew', async ({ skip }) => {
      if (made.skipUrls) skip(made.skipUrls);
      const upload = newUpload();
      const { missing } = await open(upload);
      await sendParts(missing.slice(1));
      for (const part of missing.slice(0, 1)) await send(part.put, Buffer.alloc(part.sizeBytes));
      await expect(objects.finishUpload(upload)).rejects.toMatchObject({ kind: 'invalid' });
      expect(await objects.find(blob.digest)).toBeUndefined();
      const again = await open(upload);
      expect(again.missingCount).toBe(3);
      await sendParts(again.missing);
      expect(await objects.finishUpload(upload)).toEqual({ sizeBytes: blobBytes });
    });

    it('can be finished by several at once, and again', async ({ skip }) => {
      if (made.skipUrls) skip(made.skipUrls);
      const upload = newUpload();
      await sendParts((await open(upload)).missing);
      const finishing = Array.from({ length: 4 }, async () => await objects.finishUpload(upload));
      expect(await Promise.all(finishing)).toEqual(Array.from({ length: 4 }, () => ({ sizeBytes: blobBytes })));
      expect(await objects.finishUpload(upload)).toEqual({ sizeBytes: blobBytes });
      expect((await readAll(objects, blob.digest)).equals(blob.bytes)).toBe(true);
    });

    it('knows nothing of what another sends of the same blob', async ({ skip }) => {
      if (made.skipUrls) skip(made.skipUrls);
      const [mine, theirs] = [newUpload(), newUpload()];
      const { missing } = await open(mine);
      await sendParts(missing);
      for (const part of (await open(theirs)).missing.slice(0, 1)) await send(part.put, Buffer.alloc(part.sizeBytes));
      expect(await missingOf(theirs)).toEqual([2, 3]);
      await objects.abandonUpload(theirs);
      expect(await objects.finishUpload(mine)).toEqual({ sizeBytes: blobBytes });
    });

    it('is forgotten when it is abandoned, once or twice, and so is what comes after', async ({ skip }) => {
      if (made.skipUrls) skip(made.skipUrls);
      const upload = newUpload();
      const { missing } = await open(upload);
      await sendParts(missing.slice(0, 2));
      await objects.abandonUpload(upload);
      await objects.abandonUpload(upload);
      for (const part of missing.slice(2)) expect((await send(part.put, bytesOf(part))).ok).toBe(false);
      expect(await missingOf(upload)).toEqual([1, 2, 3]);
    });

    describe('with proof', () => {
      const proof = { proof: true };
      async function prove(upload: UploadRef, port = objects): Promise<Open> {
        const answer = await port.openUpload(upload, { seconds: 60, ...proof });
        if (answer.status !== 'open') throw new Error('it was answered without proof');
        return answer;
      }

      it('want all the bytes, though the blob is there', async ({ skip }) => {
        if (made.skipUrls) skip(made.skipUrls);
        await objects.put(blob.digest, blob.body());
        const upload = newUpload();
        expect(await prove(upload)).toMatchObject({ partCount: 3, missingCount: 3 });
        await expect(objects.finishUpload(upload, proof)).rejects.toMatchObject({ kind: 'conflict' });
        const { missing } = await prove(upload);
        await sendParts(missing.slice(1));
        await expect(objects.finishUpload(upload, proof)).rejects.toMatchObject({
          kind: 'conflict',
          message: expect.stringContaining('part 1 ') as string,
        });
        await sendParts(missing.slice(0, 1));
        expect(await objects.finishUpload(upload, proof)).toEqual({ sizeBytes: blobBytes });
      });

      it('refuse other bytes, and leave the blob that is there', async ({ skip }) => {
        if (made.skipUrls) skip(made.skipUrls);
        await objects.put(blob.digest, blob.body());
        const upload = newUpload();
        for (const part of (await prove(upload)).missing) await send(part.put, Buffer.alloc(part.sizeBytes));
        await expect(objects.finishUpload(upload, proof)).rejects.toMatchObject({ kind: 'invalid' });
        await expect(objects.finishUpload(upload, proof)).rejects.toMatchObject({ kind: 'conflict' });
        expect((await readAll(objects, blob.digest)).equals(blob.bytes)).toBe(true);
        expect(await prove(upload)).toMatchObject({ missingCount: 3 });
      });

      it('keep what was sent until it is abandoned, so that finishing again is nothing', async ({ skip }) => {
        if (made.skipUrls) skip(made.skipUrls);
        const upload = newUpload();
        await sendParts((await prove(upload)).missing);
        const finishing = Array.from({ length: 3 }, async () => await objects.finishUpload(upload, proof));
        expect(await Promise.all(finishing)).toEqual(Array.from({ length: 3 }, () => ({ sizeBytes: blobBytes })));
        const later = (await made.reopen?.()) ?? objects;
        expect(await prove(upload, later)).toMatchObject({ missingCount: 0, missing: [] });
        expect(await later.finishUpload(upload, proof)).toEqual({ sizeBytes: blobBytes });
        await objects.remove(blob.digest);
        expect(await later.finishUpload(upload, proof)).toEqual({ sizeBytes: blobBytes });
        expect((await readAll(objects, blob.digest)).equals(blob.bytes)).toBe(true);
        await objects.abandonUpload(upload);
        expect((await readAll(objects, blob.digest)).equals(blob.bytes)).toBe(true);
        expect(await prove(upload)).toMatchObject({ missingCount: 3 });
        await expect(objects.finishUpload(upload, proof)).rejects.toMatchObject({ kind: 'conflict' });
      });

      it('make the blob count as stored then', async ({ skip }) => {
        if (made.skipUrls) skip(made.skipUrls);
        await objects.put(blob.digest, blob.body());
        const before = await storedAt();
        const upload = newUpload();
        await sendParts((await prove(upload)).missing);
        await vi.waitFor(
          async () => {
            await objects.finishUpload(upload, proof);
            expect(await storedAt()).toBeGreaterThan(before);
          },
          { timeout: 5000, interval: 200 },
        );
      });

      async function storedAt(): Promise<number> {
        let after: string | undefined;
        for (;;) {
          const page = await objects.list(after === undefined ? {} : { after });
          const found = page.items.find(({ digest }) => digest === blob.digest);
          if (found) return found.storedAt;
          if (page.next === undefined) throw new Error('the blob is not listed');
          after = page.next;
        }
      }
    });

    it('gives URLs that are good for their part alone', async ({ skip }) => {
      if (made.skipUrls) skip(made.skipUrls);
      const upload = newUpload();
      const { missing } = await open(upload);
      const [first, second] = missing;
      if (!first || !second) throw new Error('no parts');
      const another = first.put.url.replace(/partNumber=1|\/1\?/, (one) => one.replace('1', '2'));
      expect(another).not.toBe(first.put.url);
      expect((await send({ ...first.put, url: another }, bytesOf(second))).status).toBe(403);
      expect(await missingOf(upload)).toEqual([1, 2, 3]);
    });
  });
}

/** Sends half of a part, cuts the connection, and waits until the store has noticed. */
async function sendHalf(part: SignedPart, bytes: Uint8Array): Promise<void> {
  const headers = { ...part.put.headers, 'content-length': bytes.byteLength };
  const sending = request(part.put.url, { method: 'PUT', headers });
  const closed = new Promise<void>((resolve) => {
    sending.once('close', () => resolve());
  });
  sending.once('error', () => undefined);
  sending.write(bytes.subarray(0, bytes.byteLength / 2), () => sending.destroy());
  await closed;
}
