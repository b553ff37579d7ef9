import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';

/** Tells the processes and containers of one data folder from those of another: 16 hex digits of its real path. */
export async function dataIdOf(folder: string): Promise<string> {
  return createHash('sha256')
    .update(await realpath(folder))
    .digest('hex')
    .slice(0, 16);
}
