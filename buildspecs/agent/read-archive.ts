import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { posix } from 'node:path';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { createGunzip } from 'node:zlib';
import { createTarDecoder, type ParsedTarEntry } from 'modern-tar';
import { Problem } from '../../functions/runtime/errors.ts';
import { archiveLimits } from './archive.ts';

/** The entries of a tar or tar.gz file; read or cancel each body. Throws `Problem('invalid')` when it is neither. */
export async function* readArchive(file: string): AsyncGenerator<ParsedTarEntry> {
  const bytes = createReadStream(file, { highWaterMark: 256 * 1024 });
  const tar = (await isGzip(file)) ? bytes.pipe(createGunzip()) : bytes;
  if (tar !== bytes) bytes.once('error', (error) => tar.destroy(error));
  const stream = Readable.toWeb(tar) as ReadableStream<Uint8Array>;
  let entries = 0;
  try {
    for await (const entry of stream.pipeThrough(createTarDecoder({ strict: true }))) {
      entries++;
      yield entry;
    }
  } catch (cause) {
    throw cause instanceof Problem ? cause : notAnArchive(cause);
  }
  if (entries === 0) throw notAnArchive();
}

/**
 * Reads a bundle made by a stranger to its end: nothing in it may lead out of the folder it will be unpacked into, and
 * it stays within the limits of a bundle when unpacked. Throws `Problem`.
 */
export async function checkBundleArchive(file: string): Promise<void> {
  let entries = 0;
  let bytes = 0;
  for await (const { header, body } of readArchive(file)) {
    await body.cancel();
    entries++;
    bytes += header.size;
    const name = header.name.slice(0, 200);
    if (leaves(header.name)) throw refused(name, 'its name leads out of the bundle');
    if (
      header.type === 'symlink' &&
      leaves(posix.join(posix.dirname(header.name), header.linkname ?? '/'), header.linkname)
    ) {
      throw refused(name, 'the symbolic link leads out of the bundle');
    }
    if (header.type === 'link' && leaves(header.linkname ?? '/'))
      throw refused(name, 'the link leads out of the bundle');
    if (!['file', 'directory', 'symlink', 'link'].includes(header.type ?? 'file')) {
      throw refused(name, 'it is neither a file nor a folder');
    }
    if (entries > archiveLimits.entries || bytes > archiveLimits.bytes) {
      throw new Problem('too-large', 'fetch: the archive holds more than a bundle may');
    }
  }
}

async function isGzip(file: string): Promise<boolean> {
  const handle = await open(file, 'r');
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await handle.close();
  }
}

function leaves(path: string, written = path): boolean {
  const normal = posix.normalize(path);
  return posix.isAbsolute(written) || normal === '..' || normal.startsWith('../') || written.includes('\0');
}

function refused(name: string, why: string): Problem {
  return new Problem('invalid', `fetch: the archive’s ${JSON.stringify(name)} is refused: ${why}`);
}

function notAnArchive(cause?: unknown): Problem {
  return new Problem('invalid', 'fetch: what the URL gives is no tar and no tar.gz archive', { cause });
}
