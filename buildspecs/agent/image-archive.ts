import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readFile, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { createGunzip } from 'node:zlib';
import { Problem } from '../../functions/runtime/errors.ts';
import type { Digest } from '../../functions/runtime/units.ts';
import { archiveLimits } from './archive.ts';
import { isDigest, type ImageBlob, type ImageContent } from './image-content.ts';
import { readArchive } from './read-archive.ts';

/** An archive's files, unpacked under names of our own: what the archive calls them is only looked up. */
export type ArchiveFiles = { readonly find: (name: string) => string | undefined };

const mostBytes = 32 * 1024 ** 3;

/** Unpacks an image archive into a new folder. Throws `Problem`. */
export async function unpackImage(file: string, folder: string): Promise<ArchiveFiles> {
  await mkdir(folder);
  const files = new Map<string, string>();
  const links = new Map<string, string>();
  let bytes = 0;
  for await (const { header, body } of readArchive(file)) {
    const name = posix.normalize(header.name);
    bytes += header.size;
    if (bytes > mostBytes || files.size > archiveLimits.entries) {
      throw new Problem('too-large', 'fetch: the archive holds more than an image may');
    }
    const { type = 'file', linkname = '' } = header;
    if (type === 'file') {
      const path = join(folder, String(files.size));
      await pipeline(Readable.fromWeb(body as ReadableStream), createWriteStream(path, { flags: 'wx' }));
      files.set(name, path);
      continue;
    }
    await body.cancel();
    // Layers that are the same are one file and links in what older engines save.
    if (type === 'symlink') links.set(name, posix.join(posix.dirname(name), linkname));
    if (type === 'link') links.set(name, posix.normalize(linkname));
  }
  return { find: (name) => files.get(name) ?? files.get(links.get(name) ?? '') };
}

/** A small JSON file of the archive; undefined when there is none. */
export async function readJson(files: ArchiveFiles, name: string): Promise<unknown> {
  const path = files.find(name);
  if (path === undefined) return undefined;
  try {
    if ((await stat(path)).size > 4 * 1024 ** 2) throw new Error('too large');
    return JSON.parse(await readFile(path, 'utf8')) as unknown;
  } catch (cause) {
    throw unusable(`its ${name} cannot be read`, cause);
  }
}

export type Blob = ImageBlob & { readonly path: string };

/** The image of an OCI layout. */
export function archiveContent(files: ArchiveFiles): ImageContent {
  return { find: async (digest) => await blobOf(files, digest), unusable };
}

/** The blob of an OCI layout that a descriptor names, its bytes compared. */
async function blobOf(files: ArchiveFiles, digest: unknown): Promise<Blob> {
  if (!isDigest(digest)) throw unusable('a digest in it is none');
  const blob = await blobAt(files, `blobs/${digest.replace(':', '/')}`);
  if (blob.digest !== digest) throw unusable(`${digest} in it has other bytes`);
  return blob;
}

/** A file of the archive, whatever it is called, with its digest. */
export async function blobAt(files: ArchiveFiles, name: string): Promise<Blob> {
  const path = files.find(posix.normalize(name));
  if (path === undefined) throw unusable(`it lacks ${JSON.stringify(name.slice(0, 200))}`);
  const read = () => createReadStream(path, { highWaterMark: 256 * 1024 });
  return { path, digest: await digestOf(read()), sizeBytes: (await stat(path)).size, read };
}

/** Whether a layer is compressed, and the digest of what is in it. */
export async function layerContent({ path, digest }: Blob): Promise<{ gzip: boolean; diffId: Digest }> {
  const handle = await open(path, 'r');
  const first = Buffer.alloc(2);
  try {
    await handle.read(first, 0, 2, 0);
  } finally {
    await handle.close();
  }
  const gzip = first[0] === 0x1f && first[1] === 0x8b;
  if (!gzip) return { gzip, diffId: digest };
  try {
    const bytes = createReadStream(path);
    const inside = bytes.pipe(createGunzip());
    bytes.once('error', (error) => inside.destroy(error));
    return { gzip, diffId: await digestOf(inside) };
  } catch (cause) {
    throw unusable('a layer of it cannot be unpacked', cause);
  }
}

async function digestOf(stream: AsyncIterable<Buffer>): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of stream) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}

export function unusable(why: string, cause?: unknown): Problem {
  return new Problem('invalid', `fetch: the image archive is not usable: ${why}`, { cause });
}
