import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { unpackTar } from 'modern-tar/fs';
import type { Objects } from '../../functions/ports/objects.ts';
import { messageOf, Problem } from '../../functions/runtime/errors.ts';
import type { Digest } from '../../functions/runtime/units.ts';

export type Bundles = {
  /** The folder of a bundle, unpacked once; throws `Problem` when it is missing, damaged, or would leave its folder. */
  folder(digest: Digest): Promise<string>;
  /** Removes all but these, and what a kill left half unpacked. */
  keepOnly(digests: ReadonlySet<string>): Promise<void>;
};

const maxUnpackedBytes = 8 * 1024 ** 3;

export function bundles(root: string, objects: Pick<Objects, 'read'>): Bundles {
  const unpacking = new Map<string, Promise<string>>();
  const unpackOnce = async (digest: Digest) => {
    const place = join(root, hexOf(digest));
    const found = await stat(place).catch(() => undefined);
    if (!found) await unpack({ digest, place, root, objects });
    return place;
  };
  return {
    folder: (digest) => {
      const running = unpacking.get(digest);
      if (running) return running;
      const started = unpackOnce(digest).finally(() => unpacking.delete(digest));
      unpacking.set(digest, started);
      return started;
    },
    keepOnly: async (digests) => {
      const kept = new Set([...digests].map(hexOf));
      const names = await readdir(root).catch(() => []);
      for (const name of names.filter((name) => !kept.has(name))) await rm(join(root, name), gone);
    },
  };
}

type Unpacking = { digest: Digest; place: string; root: string; objects: Pick<Objects, 'read'> };

/** Unpacks into a temporary folder and renames it, so that a kill leaves a bundle whole or not there. */
async function unpack({ digest, place, root, objects }: Unpacking): Promise<void> {
  const temporary = join(root, `.${randomUUID()}`);
  await mkdir(temporary, { recursive: true });
  try {
    // modern-tar refuses entries and links that leave the folder (`..`, absolute links, links through links).
    const hash = createHash('sha256');
    const body = Readable.from(hashed(await objects.read(digest), hash));
    await pipeline(body, createGunzip(), limited, unpackTar(temporary));
    if (`sha256:${hash.digest('hex')}` !== digest) throw new Error('its bytes do not have its digest');
    await rename(temporary, place);
  } catch (error) {
    await rm(temporary, gone);
    if (error instanceof Problem) throw error;
    throw new Problem('invalid', `the bundle cannot be unpacked: ${messageOf(error)}`, { cause: error });
  }
}

async function* hashed(body: AsyncIterable<Uint8Array>, hash: { update(chunk: Uint8Array): unknown }) {
  for await (const chunk of body) {
    hash.update(chunk);
    yield chunk;
  }
}

async function* limited(body: AsyncIterable<Uint8Array>) {
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxUnpackedBytes) throw new Error(`it is larger than ${maxUnpackedBytes} bytes`);
    yield chunk;
  }
}

const hexOf = (digest: string) => digest.replace('sha256:', '');
const gone = { recursive: true, force: true } as const;
