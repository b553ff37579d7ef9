import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { WrongUse } from '../failures.ts';
import { openSource, type ByteSource } from './byte-source.ts';
import { indexTar } from './tar-index.ts';

export type LayoutFile = { readonly source: ByteSource; readonly sizeBytes: number };

/** The files of an image as it lies on the disk: in a folder, or in a tar. */
export type LayoutFiles = {
  /** What the whole is called in messages. */
  readonly what: string;
  readonly find: (name: string) => Promise<LayoutFile | undefined>;
};

export function filesOfFolder(folder: string): LayoutFiles {
  return {
    what: folder,
    find: async (name) => {
      const file = join(folder, name);
      const found = await stat(file).catch(() => undefined);
      return found?.isFile() ? { source: { file, offsetBytes: 0 }, sizeBytes: found.size } : undefined;
    },
  };
}

export async function filesOfTar(file: string): Promise<LayoutFiles> {
  const index = await indexTar(file);
  return {
    what: file,
    find: async (name) => {
      const entry = index.find(name);
      return entry && { source: { file, offsetBytes: entry.offsetBytes }, sizeBytes: entry.sizeBytes };
    },
  };
}

const mostJsonBytes = 4 * 1024 ** 2;

/** The bytes of a small file; throws `WrongUse` where it is too large to be one. */
export async function readSmall(file: LayoutFile, what: string): Promise<Buffer> {
  if (file.sizeBytes > mostJsonBytes) throw new WrongUse(`${what} is too large to be what its name says.`);
  const reader = await openSource(file.source);
  try {
    return await reader.read(0, file.sizeBytes);
  } finally {
    await reader.close();
  }
}

/** A small JSON file; undefined when there is none, `WrongUse` when it is no JSON. */
export async function readJson(files: LayoutFiles, name: string): Promise<unknown> {
  const file = await files.find(name);
  if (file === undefined) return undefined;
  return parseJson(await readSmall(file, `${name} of ${files.what}`), `${name} of ${files.what}`);
}

export function parseJson(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new WrongUse(`${what} is not valid JSON.`, { cause });
  }
}
