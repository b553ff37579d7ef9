import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import * as zlib from 'node:zlib';
import { Problem } from '../../functions/runtime/errors.ts';
import type { Descriptor, ImageBlob, ImageContent } from './image-content.ts';

/** As it is, or compressed: what every engine loads. */
const loadable =
  /^application\/vnd\.(?:oci\.image\.layer\.v1\.tar(?:\+gzip)?|docker\.image\.rootfs\.diff\.tar(?:\.gzip)?)$/;
const zstd = /^application\/vnd\.(?:oci\.image\.layer\.v1\.tar\+zstd|docker\.image\.rootfs\.diff\.tar\.zstd)$/;

/**
 * A layer as an engine loads it. Engines before Docker 23 know no zstd, so such a layer is unpacked on its way: it is read
 * twice, first to know how large it gets. Throws `Problem` for a kind of layer that is none.
 */
export async function loadableLayer(
  content: ImageContent,
  { digest, mediaType, diffId }: Descriptor & { readonly diffId: string },
): Promise<ImageBlob> {
  const blob = await content.find(digest);
  if (loadable.test(mediaType)) return blob;
  if (!zstd.test(mediaType)) throw content.unusable(`it has a layer of the kind ${mediaType.slice(0, 100)}`);
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of unpacked(blob)) {
    hash.update(chunk);
    sizeBytes += chunk.byteLength;
  }
  const found = `sha256:${hash.digest('hex')}` as const;
  if (found !== diffId) throw content.unusable('a layer of it is not the one that its configuration names');
  return { digest: found, sizeBytes, read: () => unpacked(blob) };
}

function unpacked({ read }: ImageBlob): AsyncIterable<Uint8Array> {
  if (!('createZstdDecompress' in zlib)) {
    throw new Problem('unsupported', 'A layer is compressed by zstd, which needs Node 22.15 or newer here');
  }
  const bytes = Readable.from(read(), { objectMode: false });
  const inside = zlib.createZstdDecompress();
  bytes.once('error', (error) => inside.destroy(error));
  return bytes.pipe(inside);
}
