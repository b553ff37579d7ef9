import { chmod, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Secrets } from '../functions/ports/secrets.ts';
import { Problem } from '../functions/runtime/errors.ts';
import { codeOf, diskProblem, makeFolders, writeDurably } from './durable.ts';

/** As Secrets Manager: at most 64 KiB, and never empty. */
const maxValueBytes = 65_536;
const namePattern = /^(?=.{1,512}$)[a-z0-9-]{1,200}(?:\/[a-z0-9-]{1,200})*$/;
const prefixPattern = /^(?:[a-z0-9-]{1,200}\/)*$/;
const versionPattern = /^[A-Za-z0-9-]{1,64}$/;

/**
 * The Secrets port on a folder that only its owner can enter. The secret `apps/web/key` is the folder of that path with
 * - `.versions/<version>`: one file a version, written once;
 * - `.current`: the name of the current version, changed by an atomic rename.
 * A name's words hold no dot, so secrets may lie within one another. One process writes; others may read.
 */
export function folderSecrets(options: { readonly folder: string; readonly newId: () => string }): Secrets {
  const { folder, newId } = options;
  const oneByOne = queue();
  const pathOf = (name: string) => join(folder, checkName(name));

  async function findVersion(name: string): Promise<string | undefined> {
    const version = await readIfThere(join(pathOf(name), '.current'));
    return version !== undefined && versionPattern.test(version) ? version : undefined;
  }

  return {
    async write(name, value) {
      const path = pathOf(name);
      checkValue(value);
      const version = newId();
      await oneByOne(async () => {
        const versionPath = join(path, '.versions', version);
        await makeFolders(join(path, '.versions'));
        await chmod(folder, 0o700);
        await removeLeftovers(path);
        if ((await readIfThere(versionPath)) !== undefined) throw new Error(`newId answered twice with ${version}`);
        await writePrivately(versionPath, value, join(path, `.new-${version}`));
        await writePrivately(join(path, '.current'), version, join(path, `.new-${version}`));
      }).catch((error: unknown) => {
        throw diskProblem(error, `The secret ${name} cannot be written`);
      });
      return { version };
    },

    async read(name, wanted) {
      const version = wanted ?? (await findVersion(name));
      const known = version !== undefined && versionPattern.test(version);
      const value = known ? await readIfThere(join(pathOf(name), '.versions', version)) : undefined;
      if (version === undefined || value === undefined) {
        throw new Problem('not-found', `There is no secret ${checkName(name)}${wanted ? ' of that version' : ''}`);
      }
      return { value, version };
    },

    findVersion,

    async list(prefix) {
      if (!prefixPattern.test(prefix)) throw invalid('prefix', 'lower-case words, each followed by /');
      return (await namesUnder(folder, prefix)).sort();
    },

    async remove(name) {
      const path = pathOf(name);
      await oneByOne(async () => {
        // The pointer first: from then on there is no secret, whatever happens to the rest.
        await rm(join(path, '.current'), { force: true });
        await rm(join(path, '.versions'), { recursive: true, force: true });
        await removeLeftovers(path);
        await removeEmptyFolders(folder, path);
      }).catch((error: unknown) => {
        throw diskProblem(error, `The secret ${name} cannot be removed`);
      });
    },

    async ready() {
      try {
        await makeFolders(folder);
        await chmod(folder, 0o700);
        await writePrivately(join(folder, '.ready'), '', join(folder, `.new-${newId()}`));
      } catch (error) {
        throw diskProblem(error, 'Secrets cannot be written');
      }
    },
  };
}

function checkName(name: string): string {
  if (!namePattern.test(name)) {
    throw invalid('name', 'words of lower-case letters, digits and dashes, parted by /, at most 512 characters');
  }
  return name;
}

/** Text that is not well-formed UTF-16 would come back changed. */
function checkValue(value: string): void {
  if (value === '' || !value.isWellFormed()) throw invalid('value', 'text that is not empty');
  if (Buffer.byteLength(value) > maxValueBytes) {
    throw new Problem('too-large', `A secret holds at most ${maxValueBytes} bytes`);
  }
}

function invalid(field: string, expected: string): Problem {
  return new Problem('invalid', `${field}: expected ${expected}`, { issues: [{ field, expected }] });
}

async function writePrivately(path: string, data: string, temporary: string): Promise<void> {
  await writeDurably(path, data, { mode: 0o600, temporary });
}

/** What a killed write left behind holds a value too. */
async function removeLeftovers(path: string): Promise<void> {
  for (const entry of await entriesOf(path)) {
    if (entry.name.startsWith('.new-')) await rm(join(path, entry.name), { force: true });
  }
}

async function removeEmptyFolders(outermost: string, path: string): Promise<void> {
  for (let empty = path; empty !== outermost; empty = dirname(empty)) {
    try {
      await rmdir(empty);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') return;
    }
  }
}

async function namesUnder(folder: string, prefix: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await entriesOf(join(folder, prefix))) {
    if (!entry.isDirectory() || entry.name.startsWith('.')) continue;
    const name = `${prefix}${entry.name}`;
    if ((await readIfThere(join(folder, name, '.current'))) !== undefined) names.push(name);
    names.push(...(await namesUnder(folder, `${name}/`)));
  }
  return names;
}

async function entriesOf(path: string) {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw diskProblem(error, 'The secret cannot be read');
  }
}

/** Runs one task after the other, whatever became of the one before: a write must not meet a removal half-way. */
function queue(): (task: () => Promise<void>) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return async (task) => {
    const done = last.then(task);
    last = done.catch(() => {});
    await done;
  };
}
