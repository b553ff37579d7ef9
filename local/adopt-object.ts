import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../functions/runtime/units.ts';
import { makeFolders, moveDurably } from './durable.ts';

/**
 * Makes a finished file an object of the folder that `folderObjects` keeps, without copying it: a build's bundle has
 * been hashed while it was written, and lies on the same disk. The file gets its name there only when it is durable.
 * (The agent cannot open the port itself: that folder belongs to one process, the control plane.)
 */
export async function adoptObject(
  folder: string,
  file: { readonly path: string; readonly digest: Digest; readonly sizeBytes: number },
): Promise<void> {
  const blobs = join(folder, 'sha256');
  if ((await stat(file.path)).size !== file.sizeBytes) throw new Error('the bundle has changed since it was hashed');
  const handle = await open(file.path, 'r');
  try {
    await handle.chmod(0o600);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await makeFolders(blobs);
  await moveDurably(file.path, join(blobs, file.digest.slice('sha256:'.length)));
}
