import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Problem } from '../functions/runtime/errors.ts';

/**
 * Writes a file whole or not at all, and on the disk when its promise resolves: a temporary file beside it, fsync,
 * rename, fsync of the folder. `temporary` must lie on the same file system.
 */
export async function writeDurably(
  path: string,
  data: string,
  options: { readonly mode: number; readonly temporary: string },
): Promise<void> {
  try {
    const file = await open(options.temporary, 'wx', options.mode);
    try {
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await moveDurably(options.temporary, path);
  } catch (error) {
    await rm(options.temporary, { force: true });
    throw error;
  }
}

/** Renames a file that is synced already; the new name survives a power cut. */
export async function moveDurably(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncFolder(dirname(to));
}

/** A name made in a folder is on the disk only when the folder is. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Makes a folder, and those on the way to it, for their owner alone. */
export async function makeFolders(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** The `code` of a system error: `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

const diskFailures: Readonly<Record<string, string>> = {
  ENOSPC: 'there is no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the disk can only be read',
  EACCES: 'permission is denied',
  EPERM: 'permission is denied',
  EIO: 'the disk fails',
  EMFILE: 'too many files are open',
};

/** Says for people what a failing disk means; other errors stay as they are. `what`: `The object cannot be written`. */
export function diskProblem(error: unknown, what: string): unknown {
  const failure = diskFailures[codeOf(error) ?? ''];
  return failure === undefined ? error : new Problem('busy', `${what}: ${failure}`, { cause: error });
}
