import { readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Upload, UploadRef } from '../../functions/ports/objects.ts';
import { randomBlob, readAll, send } from '../contract/object-blobs.ts';
import { openTestObjects, type TestObjects } from '../support/objects.ts';

const mebibyte = 1024 ** 2;
const dayMs = 24 * 3_600_000;

describe('uploads in parts in a folder', () => {
  const blob = randomBlob(8 * mebibyte + 1000);
  const hex = blob.digest.slice('sha256:'.length);
  const upload: UploadRef = { id: 'build-7', digest: blob.digest, sizeBytes: blob.bytes.length };
  let now: number;
  let opened: TestObjects;
  beforeEach(async () => {
    now = 1_800_000_000_000;
    opened = await openTestObjects({ clock: () => now, maxBytes: 10 * mebibyte });
  });
  afterEach(async () => await opened.close());

  const namesIn = async (name: string) => await readdir(join(opened.folder, name)).catch(() => []);
  async function open(ref = upload): Promise<Extract<Upload, { status: 'open' }>> {
    const answer = await opened.objects.openUpload(ref, { seconds: 60 });
    if (answer.status !== 'open') throw new Error('it is stored already');
    return answer;
  }
  async function sendPart(number: number): Promise<Response> {
    const part = (await open()).missing.find((one) => one.number === number);
    if (!part) throw new Error('that part is there');
    return await send(part.put, blob.bytes.subarray(part.offsetBytes, part.offsetBytes + part.sizeBytes));
  }

  it('lie for their owner alone until they are whole, and then are gone', async () => {
    await sendPart(2);
    const part = join(opened.folder, 'uploads', 'build-7', hex, '2');
    expect((await stat(part)).mode & 0o777).toBe(0o600);
    expect((await stat(join(opened.folder, 'uploads'))).mode & 0o777).toBe(0o700);
    await sendPart(1);
    await opened.objects.finishUpload(upload);
    expect(await namesIn(`uploads/build-7`)).toEqual([]);
    expect(await namesIn('incoming')).toEqual([]);
    expect((await readAll(opened.objects, blob.digest)).equals(blob.bytes)).toBe(true);
  });

  it('are kept when the folder is opened again, but not what was half written', async () => {
    await sendPart(1);
    // The clock of these tests is not that of the disk.
    await utimes(join(opened.folder, 'uploads', 'build-7', hex), now / 1000, now / 1000);
    await writeFile(join(opened.folder, 'incoming', 'half'), 'half');
    const later = await opened.reopen();
    const answer = await later.openUpload(upload, { seconds: 60 });
    expect(answer).toMatchObject({ missingCount: 1, missing: [{ number: 2 }] });
    expect(await namesIn('incoming')).toEqual([]);
  });

  it('are removed when nobody has sent a part for a week', async () => {
    await sendPart(1);
    const folder = join(opened.folder, 'uploads', 'build-7', hex);
    await utimes(folder, now / 1000, now / 1000);
    now += 7 * dayMs;
    await opened.reopen();
    expect(await namesIn('uploads')).toEqual(['build-7']);
    now += 1;
    await opened.reopen();
    expect(await namesIn('uploads')).toEqual([]);
  });

  it('are looked through again once a day while the server runs', async () => {
    await sendPart(1);
    await utimes(join(opened.folder, 'uploads', 'build-7', hex), 0, 0);
    await open({ ...upload, id: 'build-8' });
    expect(await namesIn('uploads')).toEqual(['build-7', 'build-8']);
    now += dayMs + 1;
    await utimes(join(opened.folder, 'uploads', 'build-8', hex), now / 1000, now / 1000);
    await open({ ...upload, id: 'build-8' });
    expect(await namesIn('uploads')).toEqual(['build-8']);
  });

  it('take nothing by a URL that was changed or has ended', async () => {
    const [first, second] = (await open()).missing;
    if (!first || !second) throw new Error('no parts');
    for (const changed of [
      first.put.url.replace('/build-7/', '/build-8/'),
      first.put.url.replace(`of=${blob.bytes.length}`, 'of=9'),
      first.put.url.replace('/1?', '/0?'),
      first.put.url.replace('/1?', '/x?'),
      first.put.url.replace(/uploads\/build-7\/1/, ''),
      first.put.url.replace(/signature=.*/, 'signature='),
    ]) {
      expect(changed).not.toBe(first.put.url);
      expect([403, 404]).toContain((await send({ url: changed, headers: {} }, Buffer.from('x'))).status);
    }
    now += 60_000;
    expect((await send(second.put, blob.bytes.subarray(second.offsetBytes))).status).toBe(403);
    expect((await open()).missingCount).toBe(2);
  });

  it('take no part of what is larger than anything may be, nor a part that is none of it', async () => {
    const answer = await open({ ...upload, sizeBytes: 11 * mebibyte });
    const last = answer.missing.at(-1);
    if (!last) throw new Error('no part');
    expect((await send(last.put, Buffer.alloc(last.sizeBytes))).status).toBe(413);
    const stray = opened.objects.putPart(upload, 3, blob.body());
    await expect(stray).rejects.toMatchObject({ kind: 'invalid' });
  });

  it('take no part when they are not open', async () => {
    const part = (await open()).missing[1];
    await rm(join(opened.folder, 'uploads'), { recursive: true });
    if (!part) throw new Error('no part');
    expect((await send(part.put, blob.bytes.subarray(part.offsetBytes))).status).toBe(409);
    expect(await namesIn('incoming')).toEqual([]);
  });

  it('are told as unfinished when parts vanish while they are read', async () => {
    await sendPart(1);
    await sendPart(2);
    const [finished] = await Promise.allSettled([
      opened.objects.finishUpload(upload),
      rm(join(opened.folder, 'uploads', 'build-7', hex, '2')),
    ]);
    expect(finished).toMatchObject({ status: 'rejected', reason: { kind: 'conflict' } });
    expect(await opened.objects.find(blob.digest)).toBeUndefined();
    expect((await open()).missing.map(({ number }) => number)).toEqual([2]);
  });

  it('are told as unfinished with proof, too, though the blob is there by another', async () => {
    await sendPart(1);
    await sendPart(2);
    await opened.objects.put(blob.digest, blob.body());
    const [finished] = await Promise.allSettled([
      opened.objects.finishUpload(upload, { proof: true }),
      rm(join(opened.folder, 'uploads', 'build-7', hex, '2')),
    ]);
    expect(finished).toMatchObject({ status: 'rejected', reason: { kind: 'conflict' } });
    expect(await namesIn('incoming')).toEqual([]);
    expect((await readAll(opened.objects, blob.digest)).equals(blob.bytes)).toBe(true);
  });
});
