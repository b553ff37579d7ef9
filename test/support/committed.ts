import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { packTar, type TarEntry } from 'modern-tar';
import { writeManifest, type ManifestEntry, type ManifestHead } from '../../functions/artifacts/manifest.ts';
import type { Digest } from '../../functions/runtime/units.ts';

export const digestOf = (bytes: Uint8Array | string): Digest =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
export const tarFile = (name: string, body: Uint8Array | string): TarEntry => ({
  header: { name, type: 'file', size: Buffer.byteLength(body), mode: 0o755, mtime: new Date(0) },
  body,
});
export const manifestType = 'application/vnd.oci.image.manifest.v1+json';
export const indexType = 'application/vnd.oci.image.index.v1+json';
export const layerType = 'application/vnd.oci.image.layer.v1.tar';
const configType = 'application/vnd.oci.image.config.v1+json';

export type Layer = { readonly bytes: Buffer; readonly mediaType: string; readonly diffId: Digest };

export async function makeLayer(
  files: Readonly<Record<string, string>>,
  how: 'gzip' | 'plain' = 'gzip',
): Promise<Layer> {
  const tar = Buffer.from(await packTar(Object.entries(files).map(([name, text]) => tarFile(name, text))));
  const diffId = digestOf(tar);
  return how === 'plain'
    ? { bytes: tar, mediaType: layerType, diffId }
    : { bytes: gzipSync(tar), mediaType: `${layerType}+gzip`, diffId };
}

/** A committed artifact in the making: its blobs, and what its manifest will list. */
export function committed() {
  const blobs = new Map<string, Buffer>();
  const entries = new Map<string, ManifestEntry>();
  /** Puts a blob among the artifact's objects; by its digest, or by another name. */
  const add = (bytes: Uint8Array | string, name?: string): Digest => {
    const digest = digestOf(bytes);
    blobs.set(digest, Buffer.from(bytes));
    entries.set(name ?? `${digest.slice(7)}.blob`, { digest, sizeBytes: Buffer.byteLength(bytes) });
    return digest;
  };
  const describe = (mediaType: string, bytes: Uint8Array | string) => ({
    mediaType,
    digest: add(bytes),
    size: Buffer.byteLength(bytes),
  });
  return {
    blobs,
    entries,
    add,
    describe,
    /** An image's manifest with all that it names. */
    image: (
      layers: readonly Layer[],
      more: {
        readonly config?: object;
        readonly diffIds?: readonly string[];
        readonly os?: string;
        readonly architecture?: string;
      } = {},
    ): string => {
      const { os = 'linux', architecture = 'amd64' } = more;
      const config = JSON.stringify({
        os,
        architecture,
        config: more.config ?? {},
        rootfs: { type: 'layers', diff_ids: more.diffIds ?? layers.map(({ diffId }) => diffId) },
      });
      const manifest = JSON.stringify({
        schemaVersion: 2,
        mediaType: manifestType,
        config: describe(configType, config),
        layers: layers.map(({ bytes, mediaType }) => describe(mediaType, bytes)),
      });
      add(manifest);
      return manifest;
    },
    /** Stores the artifact's manifest; answers with its digest. */
    manifest: async (head: Omit<ManifestHead, 'refs'> & Partial<ManifestHead>): Promise<Digest> => {
      const objects = {
        put: async (digest: Digest, body: AsyncIterable<Uint8Array>) => {
          const pieces: Uint8Array[] = [];
          for await (const piece of body) pieces.push(piece);
          blobs.set(digest, Buffer.concat(pieces));
          return { sizeBytes: blobs.get(digest)?.byteLength ?? 0 };
        },
      };
      return (await writeManifest(objects, { head: { refs: [], ...head }, entries })).digest;
    },
    /** Puts the blobs into the folder of a data folder's objects. */
    store: async (data: string): Promise<void> => {
      const folder = join(data, 'objects/sha256');
      await mkdir(folder, { recursive: true });
      for (const [digest, bytes] of blobs) await writeFile(join(folder, digest.slice(7)), bytes);
    },
  };
}

export type Committed = ReturnType<typeof committed>;
