import type { ReadableStream } from 'node:stream/web';
import { createTarPacker, type TarPackController } from 'modern-tar';
import type { ImageBlob } from './image-content.ts';

export type LoadableImage = { readonly config: ImageBlob; readonly layers: readonly ImageBlob[]; readonly tag: string };

/**
 * An image as `docker load` takes it, made while it is read: nothing of it is written down. What names the rest comes
 * last, so that no engine takes an archive that broke off for a whole one.
 * https://github.com/moby/docker-image-spec/blob/main/v1.2.md#combined-image-json--filesystem-changeset-format
 */
export function loadableArchive(image: LoadableImage): AsyncIterable<Uint8Array> {
  const { readable, controller } = createTarPacker();
  // What goes wrong goes to whoever reads.
  void pack(image, controller).catch((error: unknown) => controller.error(error));
  return readable as ReadableStream<Uint8Array>;
}

async function pack({ config, layers, tag }: LoadableImage, controller: TarPackController): Promise<void> {
  const nameOf = ({ digest }: ImageBlob) =>
    `${digest.slice('sha256:'.length)}.${digest === config.digest ? 'json' : 'tar'}`;
  // A layer that is there twice, as an empty one often is, goes once.
  const parts = new Map([config, ...layers].map((blob) => [blob.digest, blob]));
  for (const blob of parts.values()) {
    await add(controller, { name: nameOf(blob), size: blob.sizeBytes }, blob.read());
  }
  const named = [{ Config: nameOf(config), RepoTags: [tag], Layers: layers.map(nameOf) }];
  const manifest = Buffer.from(JSON.stringify(named));
  await add(controller, { name: 'manifest.json', size: manifest.byteLength }, [manifest]);
  controller.finalize();
}

async function add(
  controller: TarPackController,
  header: { readonly name: string; readonly size: number },
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const writer = controller.add({ ...header, type: 'file', mode: 0o644, mtime: new Date(0) }).getWriter();
  for await (const chunk of body) await writer.write(chunk);
  await writer.close();
}
