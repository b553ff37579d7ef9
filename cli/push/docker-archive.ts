import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { WrongUse } from '../failures.ts';
import { openSource } from './byte-source.ts';
import { configSchema, mediaTypes, parseDocument, savedSchema } from './image-documents.ts';
import { parseJson, readJson, readSmall, type LayoutFile, type LayoutFiles } from './layout-files.ts';
import { archText } from './oci-layout.ts';
import { madeBlob, refName, sha256Of, type Naming, type Package, type PushObject } from './package.ts';

/**
 * The image of what `docker save` wrote before it wrote OCI layouts: `manifest.json`, a configuration, a `layer.tar`
 * for each layer. Its manifest is made here; the same image gives the same one. Throws `WrongUse`.
 */
export async function dockerArchive(files: LayoutFiles, naming: Naming): Promise<Package> {
  const saved = parseDocument(savedSchema, await readJson(files, 'manifest.json'), `manifest.json of ${files.what}`);
  const [image] = saved;
  if (image === undefined || saved.length > 1) {
    const names = saved.map(({ RepoTags, Config }) => RepoTags?.[0] ?? Config);
    throw new WrongUse(
      `${files.what} holds ${saved.length} images${names.length > 0 ? `: ${names.join(', ')}` : ''}.`,
      {
        hint: 'A build takes one; save that one alone.',
      },
    );
  }
  const config = await configOf(files, image.Config);
  const { rootfs, ...platform } = parseDocument(configSchema, config.json, `${image.Config} of ${files.what}`);
  if (rootfs.diff_ids.length !== image.Layers.length) {
    throw new WrongUse(`${files.what} has ${image.Layers.length} layers, its configuration ${rootfs.diff_ids.length}.`);
  }
  const layers: Layer[] = [];
  for (const [index, name] of image.Layers.entries()) {
    layers.push(await layerOf(files, { name, diffId: rootfs.diff_ids[index] ?? '' }));
  }
  const manifest = madeBlob(manifestBytes(config.object, layers), 'the manifest');
  const objects = [manifest, config.object, ...layers.map(({ object }) => object)];
  return {
    kind: 'image',
    objects: [...new Map(objects.map((object) => [object.name, object])).values()],
    refs: [{ ref: refName(naming, archText(platform)), commit: manifest.sha256 ?? '' }],
    notes: [],
    close: async () => {},
  };
}

async function configOf(files: LayoutFiles, name: string): Promise<{ object: PushObject; json: unknown }> {
  const file = await fileOf(files, name);
  const bytes = await readSmall(file, `${name} of ${files.what}`);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const object = { name: `${sha256}.blob`, sizeBytes: bytes.length, sha256, source: file.source, label: name };
  return { object, json: parseJson(bytes, `${name} of ${files.what}`) };
}

type Layer = { readonly object: PushObject; readonly mediaType: string };

/** A layer that is not compressed has the digest that the configuration knows it by; it is compared when it is read. */
async function layerOf(files: LayoutFiles, { name, diffId }: { name: string; diffId: string }): Promise<Layer> {
  const { source, sizeBytes } = await fileOf(files, name);
  const gzip = await isGzip({ source, sizeBytes });
  const sha256 = gzip ? await sha256Of(source, sizeBytes) : diffId.replace('sha256:', '');
  const object = { name: `${sha256}.blob`, sizeBytes, sha256, source, label: name };
  return { object, mediaType: gzip ? `${mediaTypes.layer}+gzip` : mediaTypes.layer };
}

async function isGzip({ source, sizeBytes }: LayoutFile): Promise<boolean> {
  const reader = await openSource(source);
  try {
    const first = await reader.read(0, Math.min(2, sizeBytes));
    return first[0] === 0x1f && first[1] === 0x8b;
  } finally {
    await reader.close();
  }
}

async function fileOf(files: LayoutFiles, name: string): Promise<LayoutFile> {
  const file = await files.find(posix.normalize(name));
  if (file === undefined) throw new WrongUse(`${files.what} lacks ${name}.`);
  return file;
}

function manifestBytes(config: PushObject, layers: readonly Layer[]): Buffer {
  const described = ({ sha256, sizeBytes }: PushObject, mediaType: string) => ({
    mediaType,
    digest: `sha256:${sha256 ?? ''}`,
    size: sizeBytes,
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: described(config, mediaTypes.config),
    layers: layers.map(({ object, mediaType }) => described(object, mediaType)),
  };
  return Buffer.from(JSON.stringify(manifest));
}
