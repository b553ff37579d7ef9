import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { posix } from 'node:path';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { createGunzip } from 'node:zlib';
import { createTarDecoder, type ParsedTarEntry, type TarHeader } from 'modern-tar';
import { Problem } from '../../functions/runtime/errors.ts';
import { archiveLimits } from './archive.ts';

/** How errors call an archive, and who gave it. */
export type ArchiveSource = { readonly name: string; readonly given: string };
const fetched: ArchiveSource = { name: 'fetch', given: 'what the URL gives' };

/** The entries of a tar or tar.gz file; read or cancel each body. Throws `Problem('invalid')` when it is neither. */
export async function* readArchive(file: string, source = fetched): AsyncGenerator<ParsedTarEntry> {
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
    throw cause instanceof Problem ? cause : notAnArchive(source, cause);
  }
  if (entries === 0) throw notAnArchive(source);
}

/**
 * Reads a bundle made by a stranger to its end: nothing in it may lead out of the folder it will be unpacked into, and
 * it stays within the limits of a bundle when unpacked. Throws `Problem`.
 */
export async function checkBundleArchive(file: string, source = fetched): Promise<void> {
  const links = new Set<string>();
  let entries = 0;
  let bytes = 0;
  for await (const { header, body } of readArchive(file, source)) {
    await body.cancel();
    const issue = entryIssue(header, links);
    if (issue !== undefined) {
      const name = JSON.stringify(header.name.slice(0, 200));
      throw new Problem('invalid', `${source.name}: the archive’s ${name} is refused: ${issue}`);
    }
    if (header.type === 'symlink') links.add(posix.normalize(header.name));
    entries++;
    bytes += header.size;
    if (entries > archiveLimits.entries || bytes > archiveLimits.bytes) {
      throw new Problem('too-large', `${source.name}: the archive holds more than a bundle may`);
    }
  }
}

/** Why an entry is refused; undefined when it is not. `links` are the symbolic links before it. */
function entryIssue(header: TarHeader, links: ReadonlySet<string>): string | undefined {
  const { name, linkname = '/' } = header;
  if (leaves(name)) return 'its name leads out of the bundle';
  if (foldersOf(name).some((folder) => links.has(folder))) return 'it lies behind a symbolic link';
  const type = header.type ?? 'file';
  if (type === 'file' || type === 'directory') return undefined;
  if (type === 'link') return leaves(linkname) ? 'the link leads out of the bundle' : undefined;
  if (type !== 'symlink') return 'it is neither a file nor a folder';
  if (turnsBack(linkname)) return 'the symbolic link turns back on its way';
  const target = posix.isAbsolute(linkname) ? linkname : posix.join(posix.dirname(name), linkname);
  return leaves(target) ? 'the symbolic link leads out of the bundle' : undefined;
}

/** Dots behind a name: where that name is another link, they lead to who knows where. */
function turnsBack(target: string): boolean {
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  return parts.lastIndexOf('..') > parts.findIndex((part) => part !== '..') && parts.some((part) => part !== '..');
}

function foldersOf(name: string): readonly string[] {
  const parts = posix.normalize(name).split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}

function leaves(path: string): boolean {
  const normal = posix.normalize(path);
  return posix.isAbsolute(path) || normal === '..' || normal.startsWith('../') || path.includes('\0');
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

function notAnArchive({ name, given }: ArchiveSource, cause?: unknown): Problem {
  return new Problem('invalid', `${name}: ${given} is no tar and no tar.gz archive`, { cause });
}
