import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { Problem } from '../functions/runtime/errors.ts';
import type { Digest } from '../functions/runtime/units.ts';

type Limits = { readonly maxBytes: number };

/**
 * Streams a body to a new file; answers with its size and digest when it is on the disk.
 * Throws `Problem('too-large')` as soon as there are more than `maxBytes`; the file is then the caller's to remove.
 */
export async function writeMeasured(
  path: string,
  body: AsyncIterable<Uint8Array>,
  { maxBytes }: Limits,
): Promise<{ sizeBytes: number; digest: Digest }> {
  const hash = createHash('sha256');
  const sizeBytes = await writeBody(path, body, { maxBytes, seen: (chunk) => void hash.update(chunk) });
  return { sizeBytes, digest: `sha256:${hash.digest('hex')}` };
}

/** The same where nobody needs the digest, which costs as much as the writing. */
export async function writeCounted(
  path: string,
  body: AsyncIterable<Uint8Array>,
  { maxBytes }: Limits,
): Promise<{ sizeBytes: number }> {
  return { sizeBytes: await writeBody(path, body, { maxBytes, seen: () => {} }) };
}

async function writeBody(
  path: string,
  body: AsyncIterable<Uint8Array>,
  { maxBytes, seen }: Limits & { readonly seen: (chunk: Uint8Array) => void },
): Promise<number> {
  let sizeBytes = 0;
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const chunk of body) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > maxBytes) throw new Problem('too-large', `The object is larger than ${maxBytes} bytes`);
      seen(chunk);
      await writeWhole(file, chunk);
    }
    await file.sync();
    return sizeBytes;
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
