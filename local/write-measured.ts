import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { Problem } from '../functions/runtime/errors.ts';
import type { Digest } from '../functions/runtime/units.ts';

/**
 * Streams a body to a new file; answers with its size and digest when it is on the disk.
 * Throws `Problem('too-large')` as soon as there are more than `maxBytes`; the file is then the caller's to remove.
 */
export async function writeMeasured(
  path: string,
  body: AsyncIterable<Uint8Array>,
  { maxBytes }: { readonly maxBytes: number },
): Promise<{ sizeBytes: number; digest: Digest }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const chunk of body) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > maxBytes) throw new Problem('too-large', `The object is larger than ${maxBytes} bytes`);
      hash.update(chunk);
      await writeWhole(file, chunk);
    }
    await file.sync();
    return { sizeBytes, digest: `sha256:${hash.digest('hex')}` };
  } finally {
    await file.close();
  }
}

/** `write` may take a part only. */
async function writeWhole(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.byteLength;) {
    written += (await file.write(chunk, written)).bytesWritten;
  }
}
