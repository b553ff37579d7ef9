import { createWriteStream, type Stats } from 'node:fs';
import { lstat, mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix, relative, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { createTarPacker, type TarHeader, type TarPackController } from 'modern-tar';
import { WrongUse } from '../failures.ts';
import { chunksOf, SourceEnded } from './byte-source.ts';
import { refName, sha256Of, type Naming, type Package } from './package.ts';

/**
 * A folder as an application bundle, a tar.gz in the system's folder for temporary files. Equal content gives equal
 * bytes, so that only what has changed is ever sent: names are sorted, times are 0, owners are 0. Left out is `.git`.
 * Throws `WrongUse` for a link that leads out of the folder, and when something changes while it is packed.
 */
export async function bundleOfFolder(folder: string, naming: Naming): Promise<Package> {
  const { entries, notes } = await listEntries(folder);
  if (entries.length === 0) throw new WrongUse(`${folder} is empty: there is nothing to push.`);
  await removeForgotten();
  const temporary = await mkdtemp(join(tmpdir(), temporaryPrefix));
  const close = async () => await rm(temporary, { recursive: true, force: true });
  try {
    const file = join(temporary, 'bundle.tar.gz');
    await pack(entries, file);
    return { ...(await bundleOfFile(file, naming)), notes, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const temporaryPrefix = 'sluice-bundle-';
const forgottenAfterMs = 24 * 60 * 60 * 1000;

/** What a push that was killed has left behind: it can be as large as the app. */
async function removeForgotten(): Promise<void> {
  const names = await readdir(tmpdir()).catch(() => []);
  for (const name of names.filter((each) => each.startsWith(temporaryPrefix))) {
    const path = join(tmpdir(), name);
    const found = await lstat(path).catch(() => undefined);
    if (found === undefined || Date.now() - found.mtimeMs < forgottenAfterMs) continue;
    // That of another user stays.
    await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}

/** A bundle that somebody has packed already: a tar.gz. */
export async function bundleOfFile(file: string, naming: Naming): Promise<Package> {
  const source = { file, offsetBytes: 0 };
  const { size: sizeBytes } = await lstat(file);
  const sha256 = await sha256Of(source, sizeBytes);
  return {
    kind: 'bundle',
    objects: [{ name: `${sha256}.blob`, sizeBytes, sha256, source, label: 'the bundle' }],
    refs: [{ ref: refName(naming, 'any'), commit: sha256 }],
    notes: [],
    close: async () => {},
  };
}

type Entry = { readonly path: string; readonly name: string; readonly stats: Stats };
type Listing = { readonly entries: readonly Entry[]; readonly notes: readonly string[] };

async function listEntries(root: string): Promise<Listing> {
  const entries: Entry[] = [];
  const notes: string[] = [];
  const walk = async (folder: string) => {
    for (const found of (await readdir(folder)).sort(byBytes)) {
      const path = join(folder, found);
      const name = relative(root, path).replaceAll(sep, '/');
      if (name === '.git') {
        notes.push('Left out of the bundle: .git.');
        continue;
      }
      const stats = await lstat(path);
      if (stats.isFile() || stats.isDirectory() || stats.isSymbolicLink()) entries.push({ path, name, stats });
      else notes.push(`Left out of the bundle: ${name}, which is neither a file nor a folder.`);
      if (stats.isDirectory()) await walk(path);
    }
  };
  await walk(root);
  return { entries, notes };
}

/** Not by language: the order must be the same on every machine. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

async function pack(entries: readonly Entry[], file: string): Promise<void> {
  const { readable, controller } = createTarPacker();
  await Promise.all([
    packEntries(entries, controller),
    pipeline(readable, createGzip(), createWriteStream(file, { mode: 0o600 })),
  ]);
}

async function packEntries(entries: readonly Entry[], controller: TarPackController): Promise<void> {
  try {
    for (const entry of entries) {
      const writer = controller.add(await headerOf(entry)).getWriter();
      if (entry.stats.isFile()) await copy(entry, writer);
      await writer.close();
    }
    controller.finalize();
  } catch (error) {
    controller.error(error);
    throw error;
  }
}

async function copy({ path, name, stats }: Entry, writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
  try {
    for await (const chunk of chunksOf({ file: path, offsetBytes: 0 }, stats.size)) await writer.write(chunk);
  } catch (error) {
    throw error instanceof SourceEnded ? changed(name) : error;
  }
  const after = await lstat(path);
  if (after.size !== stats.size || after.mtimeMs !== stats.mtimeMs) throw changed(name);
}

async function headerOf({ path, name, stats }: Entry): Promise<TarHeader> {
  const mode = stats.mode & 0o777;
  const same = { uid: 0, gid: 0, uname: '', gname: '', mtime: new Date(0), mode, size: 0 };
  if (stats.isDirectory()) return { ...same, name: `${name}/`, type: 'directory' };
  if (!stats.isSymbolicLink()) return { ...same, name, type: 'file', size: stats.size };
  const linkname = await readlink(path);
  const target = posix.normalize(posix.join(posix.dirname(name), linkname));
  if (posix.isAbsolute(linkname) || target === '..' || target.startsWith('../')) {
    throw new WrongUse(`The symbolic link ${name} leads out of the folder: the bundle would lack what it leads to.`);
  }
  return { ...same, name, type: 'symlink', mode: 0o777, linkname };
}

function changed(name: string): WrongUse {
  return new WrongUse(`${name} changed while it was being packed.`, { hint: 'Push again when nothing writes there.' });
}
