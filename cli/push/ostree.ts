import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { WrongUse } from '../failures.ts';
import { parseCommit, parseTree, type Tree } from './gvariant.ts';
import { sha256Of, smallBytes, type Package, type PushObject, type PushRef } from './package.ts';

/**
 * The refs of an OSTree repository in archive mode with all that they need: commits, trees, files, and the static
 * deltas that bring a commit to somebody who has nothing. `branches`: only these refs; none given: all of `app/`,
 * `runtime/` and `screenshots/`. Throws `WrongUse`.
 */
export async function ostreeRepository(folder: string, branches: readonly string[]): Promise<Package> {
  await checkMode(folder);
  const refs = await readRefs(folder, branches);
  const found = new Map<string, PushObject>();
  const repository: Repository = { folder, found };
  for (const { commit } of refs) await addCommit(repository, commit);
  for (const { commit } of refs) for (const part of await deltaOf(folder, commit)) found.set(part.name, part);
  return { kind: 'ostree', objects: [...found.values()], refs, notes: [], close: async () => {} };
}

/** Whether a folder looks like one: `config` and `objects`. */
export async function isOstreeRepository(folder: string): Promise<boolean> {
  const [config, objects] = await Promise.all([
    stat(join(folder, 'config')).catch(() => undefined),
    stat(join(folder, 'objects')).catch(() => undefined),
  ]);
  return config?.isFile() === true && objects?.isDirectory() === true;
}

type Repository = { readonly folder: string; readonly found: Map<string, PushObject> };

async function checkMode(folder: string): Promise<void> {
  const config = await readFile(join(folder, 'config'), 'utf8').catch(() => '');
  const mode = /^mode=(\S+)/m.exec(config)?.[1];
  if (mode === 'archive-z2' || mode === 'archive') return;
  throw new WrongUse(`${folder} is no OSTree repository in archive mode${mode ? ` but in ${mode}` : ''}.`, {
    hint: 'Make one: ostree --repo=<new folder> init --mode=archive; ostree --repo=<new folder> pull-local <this one>',
  });
}

async function readRefs(folder: string, branches: readonly string[]): Promise<readonly PushRef[]> {
  const heads = join(folder, 'refs', 'heads');
  const entries = await readdir(heads, { recursive: true, withFileTypes: true }).catch(() => []);
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(heads, join(entry.parentPath, entry.name)).replaceAll(sep, '/'))
    .sort();
  const wanted = branches.length > 0 ? branches : names.filter((name) => /^(app|runtime|screenshots)\//.test(name));
  if (wanted.length === 0) throw new WrongUse(`${folder} has no refs under app/, runtime/ or screenshots/.`);
  const missing = wanted.filter((name) => !names.includes(name));
  if (missing.length > 0) {
    throw new WrongUse(`${folder} has no ref ${missing.join(', ')}. It has: ${names.join(', ') || 'none'}.`);
  }
  return await Promise.all(wanted.map(async (ref) => ({ ref, commit: await commitOf(join(heads, ref)) })));
}

async function commitOf(file: string): Promise<string> {
  const text = (await readFile(file, 'utf8')).trim();
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw new WrongUse(`${file} names no commit.`);
}

async function addCommit(repository: Repository, commit: string): Promise<void> {
  const name = `${commit}.commit`;
  if (repository.found.has(name)) return;
  const root = parsed(name, await addMetadata(repository, name), parseCommit);
  await addFolder(repository, root);
}

/** Wide, not deep: a tree may have more folders within folders than the stack has room. */
async function addFolder(repository: Repository, root: Tree['folders'][number]): Promise<void> {
  for (let level = [root]; level.length > 0;) {
    const next: Tree['folders'][number][] = [];
    for (const { tree, meta } of level) {
      const metaName = `${meta}.dirmeta`;
      if (!repository.found.has(metaName)) await addMetadata(repository, metaName);
      const treeName = `${tree}.dirtree`;
      if (repository.found.has(treeName)) continue;
      const { files, folders } = parsed(treeName, await addMetadata(repository, treeName), parseTree);
      for (const file of files) await addFile(repository, `${file}.filez`);
      next.push(...folders);
    }
    level = next;
  }
}

/** Adds a commit, a tree or its metadata, whose bytes must have the digest that is their name. */
async function addMetadata({ folder, found }: Repository, name: string): Promise<Buffer> {
  const file = objectPath(folder, name);
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new WrongUse(`${folder} lacks ${name}.`, { cause });
  });
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== name.slice(0, 64)) throw new WrongUse(`${name} of ${folder} has other bytes than its name says.`);
  found.set(name, { name, sizeBytes: bytes.length, sha256, source: { file, offsetBytes: 0 }, label: name });
  return bytes;
}

/** The name of a file's object is the digest of what is in it, not of its bytes. */
async function addFile({ folder, found }: Repository, name: string): Promise<void> {
  if (found.has(name)) return;
  const file = objectPath(folder, name);
  const stats = await stat(file).catch((cause: unknown) => {
    throw new WrongUse(`${folder} lacks ${name}.`, { cause });
  });
  found.set(name, await unnamed({ name, file, sizeBytes: stats.size }));
}

/** The server is told the digest of what is sent in parts; what is small is sent whole. */
async function unnamed({
  name,
  file,
  sizeBytes,
}: {
  name: string;
  file: string;
  sizeBytes: number;
}): Promise<PushObject> {
  const source = { file, offsetBytes: 0 };
  const sha256 = sizeBytes < smallBytes ? undefined : await sha256Of(source, sizeBytes);
  return { name, sizeBytes, sha256, source, label: name };
}

/** The parts of the delta from nothing to a commit, where there is one. Its folder is named by 43 characters. */
async function deltaOf(folder: string, commit: string): Promise<readonly PushObject[]> {
  const encoded = Buffer.from(commit, 'hex').toString('base64').replaceAll('/', '_').replace(/=+$/, '');
  const place = join(folder, 'deltas', encoded.slice(0, 2), encoded.slice(2));
  const names = (await readdir(place).catch(() => [])).filter((name) => /^(superblock|\d+)$/.test(name)).sort();
  return await Promise.all(
    names.map(async (part) => {
      const file = join(place, part);
      return await unnamed({ name: `${encoded}.${part}.delta`, file, sizeBytes: (await stat(file)).size });
    }),
  );
}

function objectPath(folder: string, name: string): string {
  return join(folder, 'objects', name.slice(0, 2), name.slice(2));
}

function parsed<T>(name: string, bytes: Buffer, parse: (bytes: Buffer) => T): T {
  try {
    return parse(bytes);
  } catch (cause) {
    throw new WrongUse(`${name} cannot be read.`, { cause });
  }
}
