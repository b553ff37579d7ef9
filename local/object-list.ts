import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobQuery } from '../functions/ports/blob-page.ts';
import type { BlobPage, StoredBlob } from '../functions/ports/objects.ts';
import { codeOf, diskProblem } from './durable.ts';
import { isDigest } from './object-urls.ts';

/** The blobs of a folder `sha256/`, in the order of their names; all names are read for each page. */
export async function listBlobs(folder: string, { after, limit }: BlobQuery): Promise<BlobPage> {
  const from = after?.slice('sha256:'.length) ?? '';
  const names = (await readdir(folder)).filter((name) => name > from && isDigest(`sha256:${name}`)).sort();
  const page = names.slice(0, limit);
  const found = await Promise.all(page.map(async (name) => await blobOf(folder, name)));
  const items = found.filter((blob) => blob !== undefined);
  return { items, next: names.length > limit ? `sha256:${page.at(-1)}` : undefined };
}

/** Undefined when it has been removed since its name was read. */
async function blobOf(folder: string, name: string): Promise<StoredBlob | undefined> {
  try {
    const { size, mtimeMs } = await stat(join(folder, name));
    return { digest: `sha256:${name}`, sizeBytes: size, storedAt: Math.floor(mtimeMs) };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw diskProblem(error, 'The objects cannot be read');
  }
}
