import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import {
  archiveContent,
  blobAt,
  layerContent,
  readJson,
  unpackImage,
  unusable,
  type ArchiveFiles,
} from './image-archive.ts';
import { keepPublished } from './engine-image.ts';
import type { Outside, Registry } from './outside.ts';
import { pushContent } from './push-image.ts';
import { enterRegistry, type ManifestBytes, type RegistryClient } from './registry-client.ts';
import { deploymentTag, keepEarlier } from './registry.ts';

/**
 * Pushes the one image of an archive (an OCI layout, or what `docker save` writes) to the app's repository, without an
 * engine: such a build needs no privilege. An OCI layout is pushed as it is, so that its digest stays.
 */
export async function pushArchive(
  outside: Outside,
  registry: Registry,
  { file, tag }: { readonly file: string; readonly tag: string },
): Promise<void> {
  if (await keepEarlier(outside, registry, { tag })) return;
  const folder = join(outside.work.root, 'image');
  try {
    const files = await unpackImage(file, folder);
    const client = await enterRegistry(registry);
    const manifest = (await ociImage(files, client)) ?? (await savedImage(files, client));
    await client.pushManifest(manifest, deploymentTag(tag));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  await keepPublished(outside, tag, await registry.findPushed(deploymentTag(tag)));
}

const indexSchema = v.object({ manifests: v.array(v.object({ mediaType: v.string(), digest: v.string() })) });

/** Pushes all that the one image of an OCI layout is made of; answers with its manifest, which is not pushed yet. */
async function ociImage(files: ArchiveFiles, client: RegistryClient): Promise<ManifestBytes | undefined> {
  const index = v.safeParse(indexSchema, await readJson(files, 'index.json'));
  if (!index.success || files.find('oci-layout') === undefined) return undefined;
  const { manifests } = index.output;
  const [only] = manifests;
  if (only === undefined || manifests.length > 1) throw unusable(`expected one image, not ${manifests.length}`);
  return await pushContent(archiveContent(files), client, only);
}

const savedSchema = v.array(v.object({ Config: v.string(), Layers: v.array(v.string()) }));
const configSchema = v.object({ rootfs: v.object({ diff_ids: v.array(v.string()) }) });
const oci = 'application/vnd.oci.image';

/** The same of what `docker save` has written before it wrote OCI layouts: the manifest is made here. */
async function savedImage(files: ArchiveFiles, client: RegistryClient): Promise<ManifestBytes> {
  const saved = v.safeParse(savedSchema, await readJson(files, 'manifest.json'));
  if (!saved.success) throw unusable('it has neither the index.json of an OCI layout nor a manifest.json');
  const [image] = saved.output;
  if (image === undefined || saved.output.length > 1) throw unusable(`expected one image, not ${saved.output.length}`);
  const config = await blobAt(files, image.Config);
  const described = v.safeParse(configSchema, await readJson(files, image.Config));
  if (!described.success) throw unusable('its configuration names no layers');
  const { diff_ids: expected } = described.output.rootfs;
  await client.pushBlob(config);
  const layers: object[] = [];
  for (const name of image.Layers) {
    const layer = await blobAt(files, name);
    const { gzip, diffId } = await layerContent(layer);
    // No engine would start it: better said now than when tasks of it fail.
    if (diffId !== expected[layers.length]) throw unusable('a layer of it is not the one that its configuration names');
    await client.pushBlob(layer);
    const mediaType = `${oci}.layer.v1.tar${gzip ? '+gzip' : ''}`;
    layers.push({ mediaType, digest: layer.digest, size: layer.sizeBytes });
  }
  if (layers.length !== expected.length) throw unusable('it lacks layers that its configuration names');
  const mediaType = `${oci}.manifest.v1+json`;
  const configured = { mediaType: `${oci}.config.v1+json`, digest: config.digest, size: config.sizeBytes };
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config: configured, layers }));
  return { mediaType, bytes, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` };
}
