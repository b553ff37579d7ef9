import { randomBytes } from 'node:crypto';
import { chmod, link, lstat, mkdir, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Problem } from '../functions/runtime/errors.ts';
import type { Log } from '../functions/runtime/log.ts';

/** The files in the data folder that hold what callers must know. */
export type CredentialName = 'admin-token' | 'webhook-secret';

/**
 * The credential kept in the data folder, made when there is none: 256 random bits as hex digits, readable by the
 * owner only. Two servers that start at once agree on one. Wider permissions are taken back, with a warning.
 * Throws `Problem('invalid')` for a file that holds no credential; never says what it holds.
 */
export async function keptCredential(folder: string, name: CredentialName, log: Log): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, name);
  const found = await readCredential(file, log);
  if (found !== undefined) return found;
  await makeCredential(folder, file);
  const made = await readCredential(file, log);
  if (made === undefined) throw new Problem('invalid', `${file} vanished while it was made`);
  return made;
}

async function readCredential(file: string, log: Log): Promise<string | undefined> {
  const stats = await lstat(file).catch(undefinedWhen('ENOENT'));
  if (!stats) return undefined;
  if (!stats.isFile()) throw new Problem('invalid', `${file} must be a plain file`);
  if ((stats.mode & 0o077) !== 0) {
    await chmod(file, 0o600);
    log.warn('a credential could be read by others; its permissions are 0600 now', { file });
  }
  const text = (await readFile(file, 'utf8')).trim();
  if (/^[\x21-\x7e]{16,512}$/.test(text)) return text;
  throw new Problem(
    'invalid',
    `${file} must hold one line of 16 to 512 printable ASCII characters; remove it to get a new one`,
  );
}

/**
 * Whole or not at all: written beside and then linked to its name, which fails when somebody else was first. A plain
 * exclusive open would show the others an empty file for a moment.
 */
async function makeCredential(folder: string, file: string): Promise<void> {
  const draft = `${file}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await writeDurably(draft, `${randomBytes(32).toString('hex')}\n`);
    await link(draft, file).catch(undefinedWhen('EEXIST'));
  } finally {
    await unlink(draft).catch(undefinedWhen('ENOENT'));
  }
  await syncFolder(folder);
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeDurably(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function undefinedWhen(code: string): (error: NodeJS.ErrnoException) => undefined {
  return (error) => {
    if (error.code !== code) throw error;
    return undefined;
  };
}
