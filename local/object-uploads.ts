import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Objects, UploadPart, UploadRef } from '../functions/ports/objects.ts';
import { checkUpload, defaultMostParts, missingParts, partsOf } from '../functions/ports/upload-parts.ts';
import { Problem } from '../functions/runtime/errors.ts';
import type { EpochMs } from '../functions/runtime/units.ts';
import { codeOf, diskProblem, makeFolders, moveDurably } from './durable.ts';
import { signedUrl } from './object-urls.ts';
import { writeCounted } from './write-measured.ts';

export type FolderUploadsOptions = {
  /** The folder of the objects; parts lie in `uploads/<id>/<hex>/<number>` within it. */
  readonly folder: string;
  readonly incoming: string;
  readonly objects: Pick<Objects, 'find' | 'put'>;
  readonly baseUrl: () => string;
  readonly signingKey: string;
  readonly clock: () => EpochMs;
};

export type FolderUploads = Pick<Objects, 'openUpload' | 'finishUpload' | 'abandonUpload'> & {
  /**
   * Stores one part, whole or not at all; sent again, the last one counts. Throws `Problem('invalid')` when it has not
   * just the bytes it should have, `Problem('conflict')` when the upload is not open (any more).
   */
  readonly putPart: (upload: UploadRef, number: number, body: AsyncIterable<Uint8Array>) => Promise<void>;
  /** Removes the uploads that nobody has sent a part of for a week. */
  readonly sweep: () => Promise<void>;
};

const keptMs = 7 * 24 * 3_600_000;
const sweepEveryMs = 24 * 3_600_000;

/**
 * Uploads in parts. Each part is a file, durable before it is answered, so a restart loses nothing. Finishing reads
 * the parts in their order and writes the blob, which needs its space a second time until the parts are removed: at the
 * end of it or, with `proof`, when the upload is abandoned.
 */
export function folderUploads(options: FolderUploadsOptions): FolderUploads {
  const { objects, clock } = options;
  const root = join(options.folder, 'uploads');
  let sweptAt = clock();

  const folderOf = (upload: UploadRef) => {
    checkUpload(upload);
    return join(root, upload.id, upload.digest.slice('sha256:'.length));
  };

  async function clear(upload: UploadRef): Promise<void> {
    await rm(folderOf(upload), { recursive: true, force: true, maxRetries: 3 });
  }

  async function sweep(): Promise<void> {
    sweptAt = clock();
    await removeOld(root, clock() - keptMs);
  }

  function signed(upload: UploadRef, part: UploadPart, seconds: number) {
    const { id, digest, sizeBytes } = upload;
    const expires = Math.floor(clock() / 1000 + seconds);
    const grant = {
      method: 'PUT',
      digest,
      expires,
      part: { id, number: part.number, uploadBytes: sizeBytes },
    } as const;
    return { ...part, put: { url: signedUrl(options.baseUrl(), grant, options.signingKey), headers: {} } };
  }

  return {
    sweep,

    async openUpload(upload, { seconds, mostParts = defaultMostParts, proof = false }) {
      const folder = folderOf(upload);
      const stored = proof ? undefined : await objects.find(upload.digest);
      if (stored) return { status: 'stored', sizeBytes: stored.sizeBytes };
      if (clock() - sweptAt > sweepEveryMs) await sweep();
      await makeFolders(folder).catch((error: unknown) => {
        throw diskProblem(error, 'The upload cannot be begun');
      });
      const parts = partsOf(upload.sizeBytes);
      const missing = await missingOf(folder, parts);
      return {
        status: 'open',
        partCount: parts.length,
        missingCount: missing.length,
        missing: missing.slice(0, mostParts).map((part) => signed(upload, part, seconds)),
      };
    },

    async putPart(upload, number, body) {
      const path = join(folderOf(upload), String(number));
      const part = partsOf(upload.sizeBytes)[number - 1];
      if (!part) throw new Problem('invalid', `There is no part ${number} of ${upload.sizeBytes} bytes`);
      const temporary = join(options.incoming, randomUUID());
      try {
        const { sizeBytes } = await writeCounted(temporary, body, { maxBytes: part.sizeBytes });
        if (sizeBytes !== part.sizeBytes) {
          throw new Problem('invalid', `Part ${number} has ${sizeBytes} bytes and not ${part.sizeBytes}`);
        }
        await moveDurably(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        if (codeOf(error) === 'ENOENT') throw new Problem('conflict', 'The upload is not open', { cause: error });
        throw diskProblem(error, 'The part cannot be written');
      }
    },

    async finishUpload(upload, { proof = false } = {}) {
      const place = { folder: folderOf(upload), proof };
      if (proof) return { sizeBytes: await finish(options, upload, place) };
      const sizeBytes = (await objects.find(upload.digest))?.sizeBytes ?? (await finish(options, upload, place));
      await clear(upload);
      return { sizeBytes };
    },

    abandonUpload: clear,
  };
}

async function finish(
  { objects }: FolderUploadsOptions,
  upload: UploadRef,
  { folder, proof }: { readonly folder: string; readonly proof: boolean },
): Promise<number> {
  const parts = partsOf(upload.sizeBytes);
  try {
    const missing = await missingOf(folder, parts);
    if (missing.length > 0) throw missingParts(missing);
    return (await objects.put(upload.digest, bytesOf(folder, parts))).sizeBytes;
  } catch (error) {
    if (error instanceof Problem && error.kind === 'invalid') {
      await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    }
    const isIncomplete = error instanceof Problem && error.kind === 'conflict';
    if (codeOf(error) !== 'ENOENT' && !isIncomplete) throw error;
    // Another who finished it at the same time may have done so and cleared up, or found it wrong.
    const stored = proof ? undefined : await objects.find(upload.digest);
    if (stored) return stored.sizeBytes;
    if (isIncomplete) throw error;
    const changed = 'The upload was changed while it was finished; ask what is missing';
    throw new Problem('conflict', changed, { cause: error });
  }
}

async function* bytesOf(folder: string, parts: readonly UploadPart[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    yield* createReadStream(join(folder, String(part.number)), {
      highWaterMark: 256 * 1024,
    }) as AsyncIterable<Uint8Array>;
  }
}

async function missingOf(folder: string, parts: readonly UploadPart[]): Promise<readonly UploadPart[]> {
  const names = new Set(await namesIn(folder));
  const missing: UploadPart[] = [];
  for (const part of parts) {
    const there =
      names.has(String(part.number)) && (await sizeOf(join(folder, String(part.number)))) === part.sizeBytes;
    if (!there) missing.push(part);
  }
  return missing;
}

async function removeOld(root: string, before: EpochMs): Promise<void> {
  for (const id of await namesIn(root)) {
    for (const name of await namesIn(join(root, id))) {
      const path = join(root, id, name);
      const touched = (await stat(path).catch(() => undefined))?.mtimeMs;
      if (touched !== undefined && touched < before) await rm(path, { recursive: true, force: true });
    }
    // An id whose uploads have all ended; while one goes on its folder is not empty, and stays.
    await rmdir(join(root, id)).catch(() => undefined);
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw diskProblem(error, 'The uploads cannot be read');
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw diskProblem(error, 'The upload cannot be read');
  }
}
