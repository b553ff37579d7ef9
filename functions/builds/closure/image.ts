import * as v from 'valibot';
import { digestPattern, type Digest } from '../../runtime/units.ts';
import type { Entry } from '../contents.ts';
import type { Walk } from './walk.ts';

/**
 * An image as the OCI has it: a manifest that names a configuration and layers, or an index of manifests, each for a
 * platform. https://github.com/opencontainers/image-spec/blob/main/manifest.md, image-index.md
 */
const digest = v.custom<Digest>((value) => typeof value === 'string' && digestPattern.test(value));
const descriptorSchema = v.object({
  mediaType: v.string(),
  digest,
  size: v.pipe(v.number(), v.integer(), v.minValue(0)),
  platform: v.optional(v.looseObject({ os: v.string(), architecture: v.string(), variant: v.optional(v.string()) })),
});
const indexSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string()),
  manifests: v.array(descriptorSchema),
});
const manifestSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string()),
  config: descriptorSchema,
  layers: v.array(descriptorSchema),
});
const configSchema = v.object({
  os: v.optional(v.string()),
  architecture: v.optional(v.string()),
  variant: v.optional(v.string()),
  rootfs: v.optional(v.object({ diff_ids: v.array(v.string()) })),
});
export type Descriptor = v.InferOutput<typeof descriptorSchema>;

export const indexType = 'application/vnd.oci.image.index.v1+json';
export const manifestType = 'application/vnd.oci.image.manifest.v1+json';
/** An index in an index in an index is nobody's image. */
const mostDepth = 3;
/** Layers that must not be put elsewhere than where they came from, so nothing here could run them. */
const foreignLayer = /nondistributable|rootfs\.foreign/;

/** Whether a blob's bytes are a manifest or an index. */
export function isImage(bytes: Buffer): boolean {
  const json = parseJson(bytes);
  return v.safeParse(indexSchema, json).success || v.safeParse(manifestSchema, json).success;
}

/** Walks through an image from the blob of its manifest or index on; answers with how an index would name it. */
export async function walkImage(walk: Walk, named: Digest): Promise<Descriptor | undefined> {
  const name = blobName(named);
  const entry = walk.visit(name);
  return entry && (await walkContent(walk, { name, entry, depth: 0, seen: new Set([name]) }));
}

/** An index of several images, as bytes. */
export function assembleIndex(images: readonly Descriptor[]): Buffer {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: images }));
}

export function blobName(named: Digest): string {
  return `${named.slice('sha256:'.length)}.blob`;
}

type At = {
  readonly name: string;
  readonly entry: Entry;
  readonly depth: number;
  /** What was walked through already: an index may name the same again and again. */
  readonly seen: Set<string>;
};

/** https://github.com/opencontainers/image-spec/security/advisories/GHSA-77vh-xpmg-72qh */
function isAmbiguous(json: unknown): boolean {
  if (typeof json !== 'object' || json === null) return false;
  return 'manifests' in json && ('layers' in json || 'config' in json);
}

async function walkContent(walk: Walk, at: At): Promise<Descriptor | undefined> {
  const bytes = await walk.read(at.name, at.entry);
  if (!bytes) return undefined;
  const json = parseJson(bytes);
  const index = v.safeParse(indexSchema, json);
  const manifest = v.safeParse(manifestSchema, json);
  if (isAmbiguous(json)) {
    walk.refuse(at.name, 'is an index and a manifest at once: who reads it could take it for either');
    return undefined;
  }
  if (index.success) return await walkIndex(walk, at, index.output);
  if (manifest.success) return await walkManifest(walk, at, manifest.output);
  walk.refuse(at.name, 'is neither an image manifest nor an index');
  return undefined;
}

async function walkIndex(
  walk: Walk,
  at: At,
  index: v.InferOutput<typeof indexSchema>,
): Promise<Descriptor | undefined> {
  if (at.depth >= mostDepth) {
    walk.refuse(at.name, 'is an index too deep within others');
    return undefined;
  }
  if (index.manifests.length === 0) walk.refuse(at.name, 'is an index of no image');
  for (const child of index.manifests) {
    const name = blobName(child.digest);
    const entry = walk.visit(name, { sizeBytes: child.size });
    if (entry && !at.seen.has(name)) {
      at.seen.add(name);
      await walkContent(walk, { name, entry, depth: at.depth + 1, seen: at.seen });
    }
  }
  return { mediaType: index.mediaType ?? indexType, digest: at.entry.digest, size: at.entry.sizeBytes };
}

async function walkManifest(
  walk: Walk,
  { name, entry }: At,
  { mediaType, config, layers }: v.InferOutput<typeof manifestSchema>,
): Promise<Descriptor | undefined> {
  for (const layer of layers) {
    if (foreignLayer.test(layer.mediaType)) walk.refuse(name, `has a layer that may not be stored: ${layer.digest}`);
    else walk.visit(blobName(layer.digest), { sizeBytes: layer.size });
  }
  const configName = blobName(config.digest);
  const found = walk.visit(configName, { sizeBytes: config.size });
  const described = found && (await readConfig(walk, configName, { entry: found, layers: layers.length }));
  return {
    mediaType: mediaType ?? manifestType,
    digest: entry.digest,
    size: entry.sizeBytes,
    ...(described ? { platform: described } : {}),
  };
}

/** What an attestation has for a configuration says nothing of a platform. */
async function readConfig(
  walk: Walk,
  name: string,
  { entry, layers }: { entry: Entry; layers: number },
): Promise<Descriptor['platform']> {
  const bytes = await walk.read(name, entry);
  const config = bytes && v.safeParse(configSchema, parseJson(bytes));
  if (!config?.success) return undefined;
  const { os, architecture, variant, rootfs } = config.output;
  if (rootfs && rootfs.diff_ids.length > 0 && rootfs.diff_ids.length !== layers) {
    walk.refuse(name, `is of an image of ${rootfs.diff_ids.length} layers and not of ${layers}`);
  }
  return os && architecture ? { os, architecture, ...(variant ? { variant } : {}) } : undefined;
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}
