import { open } from 'node:fs/promises';

/** Bytes that an object is made of: a range of a file, or what was made here. */
export type ByteSource = { readonly file: string; readonly offsetBytes: number } | { readonly bytes: Uint8Array };

/** Reads ranges of one source, from one open file: who replaces the file meanwhile does not change what we read. */
export type ByteReader = {
  /** Just so many bytes, in the memory that is given if it is enough for them; throws when the source ends before. */
  readonly read: (offsetBytes: number, sizeBytes: number, memory?: Buffer) => Promise<Buffer>;
  readonly close: () => Promise<void>;
};

export async function openSource(source: ByteSource): Promise<ByteReader> {
  if ('bytes' in source) {
    const whole = Buffer.from(source.bytes.buffer, source.bytes.byteOffset, source.bytes.byteLength);
    return { read: async (offset, size) => whole.subarray(offset, offset + size), close: async () => {} };
  }
  const handle = await open(source.file, 'r');
  return {
    read: async (offsetBytes, sizeBytes, memory = Buffer.allocUnsafeSlow(sizeBytes)) => {
      const buffer = memory.length < sizeBytes ? Buffer.allocUnsafeSlow(sizeBytes) : memory.subarray(0, sizeBytes);
      let filled = 0;
      while (filled < sizeBytes) {
        const position = source.offsetBytes + offsetBytes + filled;
        const { bytesRead } = await handle.read(buffer, filled, sizeBytes - filled, position);
        if (bytesRead === 0) throw new SourceEnded(source.file);
        filled += bytesRead;
      }
      return buffer;
    },
    close: async () => await handle.close(),
  };
}

/** The file is shorter than it was when we looked. */
export class SourceEnded extends Error {
  override readonly name = 'SourceEnded';

  constructor(file: string) {
    super(`${file} ends before it should`);
  }
}

/** Pieces of a source from its beginning to its end, of at most a mebibyte. */
export async function* chunksOf(source: ByteSource, sizeBytes: number): AsyncGenerator<Buffer> {
  const reader = await openSource(source);
  try {
    for (let offset = 0; offset < sizeBytes; offset += chunkBytes) {
      yield await reader.read(offset, Math.min(chunkBytes, sizeBytes - offset));
    }
  } finally {
    await reader.close();
  }
}

const chunkBytes = 1024 ** 2;
