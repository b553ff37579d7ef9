import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { Problem } from '../functions/runtime/errors.ts';
import type { Digest } from '../functions/runtime/units.ts';
import { isDigest } from './object-urls.ts';

/**
 * Reads a blob of the folder that `folderObjects` keeps. (The agent cannot open the port itself: that folder belongs to
 * one process, the control plane.) Throws `Problem('not-found')`.
 */
export async function readObject(folder: string, digest: Digest): Promise<AsyncIterable<Uint8Array>> {
  if (!isDigest(digest)) throw new Problem('invalid', 'digest: expected sha256: and 64 lower-case hex digits');
  const path = join(folder, 'sha256', digest.slice('sha256:'.length));
  await access(path).catch((cause: unknown) => {
    throw new Problem('not-found', `There is no object ${digest}`, { cause });
  });
  return createReadStream(path, { highWaterMark: 256 * 1024 });
}
