import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rm, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Digest } from '../../functions/runtime/units.ts';
import { folderObjects } from '../../local/objects.ts';
import { openTestObjects, type TestObjects } from '../support/objects.ts';

const maxBytes = 100_000;

describe('objects in a folder', () => {
  let now: number;
  let opened: TestObjects;
  beforeEach(async () => {
    now = 1_800_000_000_000;
    opened = await openTestObjects({ clock: () => now, maxBytes });
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await opened.close();
  });

  const incoming = async () => await readdir(join(opened.folder, 'incoming'));
  const stored = async () => await readdir(join(opened.folder, 'sha256'));

  describe('on the disk', () => {
    it('lie under their digest, for their owner alone, and nothing else is left', async () => {
      const blob = await put(1000);
      expect(await stored()).toEqual([blob.digest.slice('sha256:'.length)]);
      expect(await incoming()).toEqual([]);
      expect((await stat(join(opened.folder, 'sha256'))).mode & 0o777).toBe(0o700);
      expect((await stat(join(opened.folder, 'sha256', blob.digest.slice(7)))).mode & 0o777).toBe(0o600);
    });

    it('are cleared of what a killed write left, when they are opened', async () => {
      const blob = await put(1000);
      await writeFile(join(opened.folder, 'incoming', crypto.randomUUID()), 'half');
      const again = await reopen();
      expect(await incoming()).toEqual([]);
      expect(await again.find(blob.digest)).toEqual({ sizeBytes: 1000 });
    });

    it('leave nothing of a write that failed', async () => {
      const blob = newBlob(1000);
      await expect(opened.objects.put(blob.digest, newBlob(1000).body())).rejects.toThrow('digest');
      expect([await incoming(), await stored()]).toEqual([[], []]);
    });

    it.each([
      ['ENOSPC', 'no space left', 'write'],
      ['EDQUOT', 'quota', 'write'],
      ['EIO', 'the disk fails', 'sync'],
      ['EACCES', 'permission is denied', 'write'],
    ] as const)('leave nothing half when the disk says %s, and say %s', async (code, said, method) => {
      const blob = newBlob(1000);
      const failing = vi.spyOn(await handlePrototype(), method).mockRejectedValue(systemError(code));
      await expect(opened.objects.put(blob.digest, blob.body())).rejects.toMatchObject({
        kind: 'busy',
        message: expect.stringContaining(said) as string,
      });
      expect(failing).toHaveBeenCalled();
      failing.mockRestore();
      expect([await incoming(), await stored()]).toEqual([[], []]);
      expect(await opened.objects.put(blob.digest, blob.body())).toEqual({ sizeBytes: 1000 });
    });

    it('are written to the end when the disk takes a part at a time', async () => {
      const prototype = await handlePrototype();
      const write = Reflect.get(prototype, 'write') as (chunk: Uint8Array, from: number, length: number) => unknown;
      const partly = async function (this: FileHandle, chunk: Uint8Array, from = 0) {
        return await write.call(this, chunk, from, Math.min(300, chunk.byteLength - from));
      };
      vi.spyOn(prototype, 'write').mockImplementation(partly as never);
      const blob = await put(1000);
      expect(await readAll(blob.digest)).toEqual(blob.bytes);
    });

    it('are not ready, and say why, when their folder is gone', async () => {
      await rm(join(opened.folder, 'incoming'), { recursive: true });
      await expect(opened.objects.ready()).rejects.toThrow('ENOENT');
    });

    it('cannot be opened where a file is', async () => {
      await rm(join(opened.folder, 'incoming'), { recursive: true });
      await writeFile(join(opened.folder, 'incoming'), '');
      await expect(reopen()).rejects.toThrow('EEXIST');
    });

    it('keep no file open for a reader that never reads, or stops', async () => {
      const blob = await put(90_000);
      await opened.objects.read(blob.digest);
      for await (const chunk of await opened.objects.read(blob.digest)) if (chunk.byteLength > 0) break;
      await vi.waitFor(async () => expect(await openFiles(blob.digest)).toBe(0), { timeout: 5000 });
    });
  });

  describe('URLs', () => {
    it('name the object, the end and the signature', async () => {
      const { digest } = newBlob(1);
      const url = new URL(await opened.objects.downloadUrl(digest, 60));
      expect(url.origin).toBe(opened.baseUrl);
      expect(url.pathname).toBe(`/objects/${digest}`);
      expect(url.searchParams.get('expires')).toBe('1800000060');
      expect(url.searchParams.get('signature')).toMatch(/^[A-Za-z0-9_-]{43}$/);
    });

    it('end when their time has come, for reading and for writing', async () => {
      const blob = await put(1000);
      const [get, upload] = [await opened.objects.downloadUrl(blob.digest, 60), await uploadUrl(blob.digest)];
      now += 59_999;
      expect(await statusOf(get)).toBe(200);
      now += 1;
      expect(await statusOf(get)).toBe(403);
      expect(await statusOf(upload, { method: 'PUT', body: 'x' })).toBe(403);
    });

    it('cannot be prolonged, nor signed with another key', async () => {
      const blob = await put(1000);
      const url = await opened.objects.downloadUrl(blob.digest, 60);
      const foreign = await folderObjects({
        folder: opened.folder,
        baseUrl: () => opened.baseUrl,
        signingKey: 'another',
        clock: () => now,
      });
      expect(await statusOf(url)).toBe(200);
      for (const bad of [
        url.replace('1800000060', '1900000000'),
        url.replace('1800000060', '01800000060'),
        url.replace('1800000060', 'NaN'),
        url.replace(/signature=.*/, 'signature='),
        url.replace(/&signature=.*/, ''),
        `${url}x`,
        await foreign.downloadUrl(blob.digest, 60),
        url.replace('/objects/', '/objects/..%2f'),
      ]) {
        expect(await statusOf(bad)).toBe(403);
      }
    });

    it('for reading lead nowhere when the object is not there', async () => {
      expect(await statusOf(await opened.objects.downloadUrl(newBlob(1).digest, 60))).toBe(404);
    });

    it('for writing take no more than the limit, announced or not, and keep nothing of it', async () => {
      const blob = newBlob(maxBytes + 1);
      const url = await uploadUrl(blob.digest);
      expect(await statusOf(url, { method: 'PUT', body: new Uint8Array(blob.bytes) })).toBe(413);
      const body = ReadableStream.from(blob.body());
      const unannounced = { method: 'PUT', body, duplex: 'half' } as RequestInit;
      expect(await statusOf(url, unannounced)).toBe(413);
      expect([await incoming(), await stored()]).toEqual([[], []]);
    });

    it('for writing take an empty object', async () => {
      const blob = newBlob(0);
      expect(await statusOf(await uploadUrl(blob.digest), { method: 'PUT' })).toBe(200);
      expect(await opened.objects.find(blob.digest)).toEqual({ sizeBytes: 0 });
    });

    it('for writing leave nothing of an upload that breaks off', async () => {
      const blob = newBlob(50_000);
      const abort = new AbortController();
      async function* half(): AsyncGenerator<Uint8Array> {
        yield blob.bytes.subarray(0, 20_000);
        await vi.waitFor(async () => expect(await incoming()).toHaveLength(1), { timeout: 5000 });
        abort.abort();
      }
      const body = ReadableStream.from(half());
      const upload = { method: 'PUT', body, duplex: 'half', signal: abort.signal } as RequestInit;
      await expect(fetch(await uploadUrl(blob.digest), upload)).rejects.toThrow(/abort/i);
      await vi.waitFor(async () => expect(await incoming()).toEqual([]), { timeout: 5000 });
      expect(await stored()).toEqual([]);
    });

    it('answer HEAD without the bytes, and keep strangers’ bytes from being a page', async () => {
      const blob = await put(1000);
      const answer = await fetch(await opened.objects.downloadUrl(blob.digest, 60), { method: 'HEAD' });
      expect(answer.status).toBe(200);
      expect(Object.fromEntries(answer.headers)).toMatchObject({
        'content-length': '1000',
        'content-type': 'application/octet-stream',
        'content-disposition': 'attachment',
        'x-content-type-options': 'nosniff',
        'accept-ranges': 'bytes',
        etag: `"${blob.digest}"`,
      });
    });

    it.each([
      { range: 'bytes=0-0', status: 206, from: 0, to: 1 },
      { range: 'bytes=990-', status: 206, from: 990, to: 1000 },
      { range: 'bytes=-10', status: 206, from: 990, to: 1000 },
      { range: 'bytes=-5000', status: 206, from: 0, to: 1000 },
      { range: 'bytes=500-5000', status: 206, from: 500, to: 1000 },
      { range: 'bytes=0-1,5-6', status: 200, from: 0, to: 1000 },
      { range: 'bytes=9-5', status: 200, from: 0, to: 1000 },
      { range: 'bytes=-', status: 200, from: 0, to: 1000 },
      { range: 'lines=0-1', status: 200, from: 0, to: 1000 },
      { range: 'bytes=1000-', status: 416, from: 0, to: 0 },
      { range: 'bytes=-0', status: 416, from: 0, to: 0 },
    ])('answer the range $range with $status', async ({ range, status, from, to }) => {
      const blob = await put(1000);
      const answer = await fetch(await opened.objects.downloadUrl(blob.digest, 60), { headers: { range } });
      expect(answer.status).toBe(status);
      expect(Buffer.from(await answer.arrayBuffer())).toEqual(blob.bytes.subarray(from, to));
    });

    it('answer an empty object', async () => {
      const blob = await put(0);
      const url = await opened.objects.downloadUrl(blob.digest, 60);
      expect((await (await fetch(url)).arrayBuffer()).byteLength).toBe(0);
      expect(await statusOf(url, { headers: { range: 'bytes=0-' } })).toBe(416);
    });
  });

  async function put(size: number) {
    const blob = newBlob(size);
    await opened.objects.put(blob.digest, blob.body());
    return blob;
  }
  async function reopen() {
    const { folder, baseUrl } = opened;
    return await folderObjects({ folder, baseUrl: () => baseUrl, signingKey: 'k', clock: () => now });
  }
  async function readAll(digest: Digest): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of await opened.objects.read(digest)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }
  async function uploadUrl(digest: Digest): Promise<string> {
    return (await opened.objects.uploadUrl(digest, 60)).url;
  }
  /** The prototype that all file handles share, to make the disk fail. */
  async function handlePrototype(): Promise<FileHandle> {
    await mkdir(opened.folder, { recursive: true });
    const handle = await open(opened.folder, 'r');
    await handle.close();
    return Object.getPrototypeOf(handle) as FileHandle;
  }
});

function newBlob(size: number) {
  const bytes = randomBytes(size);
  const digest: Digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  async function* body(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < size; at += 10_000) yield bytes.subarray(at, at + 10_000);
  }
  return { bytes, digest, body };
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: simulated`), { code });
}

async function statusOf(url: string, init?: RequestInit): Promise<number> {
  const answer = await fetch(url, init);
  await answer.arrayBuffer();
  return answer.status;
}

/** How many of this process's open files are that blob; 0 where the system does not tell. */
async function openFiles(digest: Digest): Promise<number> {
  const { readlink } = await import('node:fs/promises');
  const descriptors = await readdir('/proc/self/fd').catch(() => []);
  const paths = await Promise.all(
    descriptors.map(async (name) => await readlink(`/proc/self/fd/${name}`).catch(() => '')),
  );
  return paths.filter((path) => path.endsWith(digest.slice('sha256:'.length))).length;
}
