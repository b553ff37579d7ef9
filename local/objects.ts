import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { blobQuery } from '../functions/ports/blob-page.ts';
import type { Objects, Received, ReceiveOptions } from '../functions/ports/objects.ts';
import { wrongDigest } from '../functions/ports/upload-parts.ts';
import { Problem } from '../functions/runtime/errors.ts';
import type { Digest, EpochMs } from '../functions/runtime/units.ts';
import { codeOf, diskProblem, makeFolders, moveDurably } from './durable.ts';
import { listBlobs } from './object-list.ts';
import { folderUploads, type FolderUploads } from './object-uploads.ts';
import { isDigest, signedUrl, type ObjectMethod } from './object-urls.ts';
import { writeMeasured } from './write-measured.ts';

export type FolderObjectsOptions = {
  readonly folder: string;
  /** Where `objectRoutes` is served, asked each time: the port may not be known yet. */
  readonly baseUrl: () => string;
  readonly signingKey: string;
  readonly clock: () => EpochMs;
};

/** Bytes from `start` to `end`, both included. */
export type ByteRange = { readonly start: number; readonly end: number };

export type FolderObjects = Objects &
  Pick<FolderUploads, 'putPart'> & {
    /** Some of a blob's bytes; throws `Problem('not-found')`. */
    readRange(digest: Digest, range: ByteRange): Promise<AsyncIterable<Uint8Array>>;
  };

/**
 * The Objects port on a folder: `sha256/<hex>`, `uploads/` for the parts of what is not whole yet, and `incoming/` for
 * what is being written. A blob gets its name when all of it is verified and on the disk. Opening removes what a killed process left in `incoming/`, so a
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

  async function receive(body: AsyncIterable<Uint8Array>, { maxBytes = Infinity, check }: ReceiveOptions = {}) {
    const temporary = join(incoming, randomUUID());
    try {
      const received: Received = await writeMeasured(temporary, body, { maxBytes });
      check?.(received);
      await moveDurably(temporary, pathOf(received.digest));
      return received;
    } catch (error) {
      await rm(temporary, { force: true });
      throw diskProblem(error, 'The object cannot be written');
    }
  }

  async function put(digest: Digest, body: AsyncIterable<Uint8Array>, { maxBytes = Infinity } = {}) {
    pathOf(digest);
    const check = (received: Received) => {
      if (received.digest !== digest) throw wrongDigest(received.digest);
    };
    const { sizeBytes } = await receive(body, { maxBytes, check });
    return { sizeBytes };
  }

  const { sweep, ...uploads } = folderUploads({ ...options, incoming, objects: { find, put } });
  await sweep();

  return {
    find,
    read: async (digest) => await read(digest),
    readRange: read,
    put,
    receive,
    ...uploads,

    async remove(digest) {
      await rm(pathOf(digest), { force: true });
    },

    downloadUrl: async (digest, seconds) => url('GET', digest, seconds),
    uploadUrl: async (digest, seconds) => ({ url: url('PUT', digest, seconds), headers: {} }),

    list: async (query) => await listBlobs(join(options.folder, 'sha256'), blobQuery(query)),

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
