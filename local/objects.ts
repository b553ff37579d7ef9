import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Objects } from '../functions/ports/objects.ts';
import { Problem } from '../functions/runtime/errors.ts';
import type { Digest, EpochMs } from '../functions/runtime/units.ts';
import { codeOf, diskProblem, makeFolders, moveDurably } from './durable.ts';
import { isDigest, signedUrl, type ObjectMethod } from './object-urls.ts';

export type FolderObjectsOptions = {
  readonly folder: string;
  /** Where `objectRoutes` is served, asked each time: the port may not be known yet. */
  readonly baseUrl: () => string;
  readonly signingKey: string;
  readonly clock: () => EpochMs;
};

/** Bytes from `start` to `end`, both included. */
export type ByteRange = { readonly start: number; readonly end: number };

export type FolderObjects = Objects & {
  /** A part of a blob; throws `Problem('not-found')`. */
  readRange(digest: Digest, range: ByteRange): Promise<AsyncIterable<Uint8Array>>;
};

/**
 * The Objects port on a folder: `sha256/<hex>`, and `incoming/` for what is being written. A blob gets its
 * name when all of it is verified and on the disk. Opening removes what a killed process left in `incoming/`, so a
 * folder belongs to one process.
 */
export async function folderObjects(options: FolderObjectsOptions): Promise<FolderObjects> {
  const incoming = join(options.folder, 'incoming');
  await prepare(options.folder, incoming);
  const pathOf = (digest: Digest) => blobPath(options.folder, digest);

  async function find(digest: Digest) {
    try {
      return { sizeBytes: (await stat(pathOf(digest))).size };
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw diskProblem(error, 'The object cannot be read');
    }
  }

  async function read(digest: Digest, range?: ByteRange) {
    if (!(await find(digest))) throw missing(digest);
    return bytesOf(pathOf(digest), digest, range);
  }

  function url(method: ObjectMethod, digest: Digest, seconds: number): string {
    const expires = Math.floor(options.clock() / 1000 + seconds);
    blobPath(options.folder, digest);
    return signedUrl(options.baseUrl(), { method, digest, expires }, options.signingKey);
  }

  return {
    find,
    read: async (digest) => await read(digest),
    readRange: read,

    async put(digest, body, { maxBytes = Infinity } = {}) {
      const path = pathOf(digest);
      const temporary = join(incoming, randomUUID());
      try {
        const sizeBytes = await writeVerified(temporary, body, { digest, maxBytes });
        await moveDurably(temporary, path);
        return { sizeBytes };
      } catch (error) {
        await rm(temporary, { force: true });
        throw diskProblem(error, 'The object cannot be written');
      }
    },

    async remove(digest) {
      await rm(pathOf(digest), { force: true });
    },

    downloadUrl: async (digest, seconds) => url('GET', digest, seconds),
    uploadUrl: async (digest, seconds) => url('PUT', digest, seconds),

    async ready() {
      const probe = join(incoming, `ready-${randomUUID()}`);
      try {
        await (await open(probe, 'wx', 0o600)).close();
      } catch (error) {
        throw diskProblem(error, 'Objects cannot be written');
      } finally {
        await rm(probe, { force: true });
      }
    },
  };
}

/** The digest becomes a path, so it is checked here, whoever called. */
function blobPath(folder: string, digest: string): string {
  if (!isDigest(digest)) {
    const expected = 'sha256: and 64 lower-case hex digits';
    throw new Problem('invalid', `digest: expected ${expected}`, { issues: [{ field: 'digest', expected }] });
  }
  const hex = digest.slice('sha256:'.length);
  return join(folder, 'sha256', hex);
}

async function prepare(folder: string, incoming: string): Promise<void> {
  try {
    await makeFolders(incoming);
    await makeFolders(join(folder, 'sha256'));
    for (const name of await readdir(incoming)) await rm(join(incoming, name), { force: true });
  } catch (error) {
    throw diskProblem(error, 'The folder of objects cannot be used');
  }
}

/** Streams a body to a new file; answers with its size when it has the digest and is on the disk. */
async function writeVerified(
  path: string,
  body: AsyncIterable<Uint8Array>,
  expected: { readonly digest: Digest; readonly maxBytes: number },
): Promise<number> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const chunk of body) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > expected.maxBytes) {
        throw new Problem('too-large', `The object is larger than ${expected.maxBytes} bytes`);
      }
      hash.update(chunk);
      await writeWhole(file, chunk);
    }
    const digest = `sha256:${hash.digest('hex')}`;
    if (digest !== expected.digest)
      throw new Problem('invalid', `The bytes have the digest ${digest}, not the one named`);
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

/** Opens the file when it is first read from, so that one who never reads leaves nothing open. */
async function* bytesOf(path: string, digest: Digest, range?: ByteRange): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: 256 * 1024, ...range }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw codeOf(error) === 'ENOENT' ? missing(digest) : diskProblem(error, 'The object cannot be read');
  }
}

function missing(digest: Digest): Problem {
  return new Problem('not-found', `There is no object ${digest}`);
}
