import * as v from 'valibot';
import type { Manifest } from '../../functions/artifacts/manifest.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { digestPattern, type Digest } from '../../functions/runtime/units.ts';
import type { Outside } from './outside.ts';
import { readSmall, readVerified } from './read-object.ts';

/** A part of an image: its bytes may be read again and again, and are compared with the digest each time. */
export type ImageBlob = {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly read: () => AsyncIterable<Uint8Array>;
};

/** Where an image's parts are: in an unpacked archive, or in Objects. */
export type ImageContent = {
  /** The part that a descriptor names; throws `Problem` when it is not there, or when that is no digest. */
  readonly find: (digest: unknown) => Promise<ImageBlob>;
  /** The error that says why this image cannot be used. */
  readonly unusable: (why: string, cause?: unknown) => Problem;
};

/** What an artifact's manifest lists, and nothing else: an image may name, but not read, what others have stored. */
export function objectsContent(outside: Outside, { entries }: Manifest): ImageContent {
  const unusable = (why: string, cause?: unknown) =>
    new Problem('invalid', `The image is not usable: ${why}`, { cause });
  return {
    unusable,
    find: async (digest) => {
      if (!isDigest(digest)) throw unusable('a digest in it is none');
      const entry = entries.get(`${digest.slice('sha256:'.length)}.blob`);
      if (entry?.digest !== digest) throw unusable(`it lacks ${digest}`);
      return { ...entry, read: () => readVerified(outside, entry) };
    },
  };
}

export function isDigest(value: unknown): value is Digest {
  return typeof value === 'string' && digestPattern.test(value);
}

const descriptorSchema = v.object({ mediaType: v.string(), digest: v.string() });
const platformSchema = v.object({ os: v.string(), architecture: v.string(), variant: v.optional(v.string()) });
const indexSchema = v.object({
  mediaType: v.optional(v.string()),
  manifests: v.array(v.object({ ...descriptorSchema.entries, platform: v.optional(platformSchema) })),
});
const manifestSchema = v.object({
  mediaType: v.optional(v.string()),
  config: descriptorSchema,
  layers: v.array(descriptorSchema),
});
export type Descriptor = v.InferOutput<typeof descriptorSchema>;
export type Platform = v.InferOutput<typeof platformSchema>;
export type ImageIndex = v.InferOutput<typeof indexSchema>;
export type ImageManifest = v.InferOutput<typeof manifestSchema>;

/** A manifest or an index, as it is and as it is understood. */
export type Described = { readonly digest: Digest; readonly bytes: Buffer; readonly mediaType: string } & (
  | { readonly kind: 'index'; readonly index: ImageIndex }
  | { readonly kind: 'manifest'; readonly manifest: ImageManifest }
);

/** One that names no media type is what its fields are. */
const oci = 'application/vnd.oci.image';

/** Reads a manifest or an index. Throws `Problem` when it is neither, or has a layer that may not be passed on. */
export async function describeContent(content: ImageContent, digest: unknown): Promise<Described> {
  const blob = await content.find(digest);
  const bytes = await readSmall(blob.read());
  const json = parseJson(bytes);
  const index = v.safeParse(indexSchema, json);
  const described = { digest: blob.digest, bytes };
  if (index.success) {
    const mediaType = index.output.mediaType ?? `${oci}.index.v1+json`;
    return { ...described, mediaType, kind: 'index', index: index.output };
  }
  const manifest = v.safeParse(manifestSchema, json);
  if (!manifest.success) throw content.unusable('it holds a manifest that is none');
  // Its bytes are on some other server, by a URL in the manifest: an image must not depend on that.
  const isForeign = manifest.output.layers.some(({ mediaType }) => /nondistributable|foreign/.test(mediaType));
  if (isForeign) throw content.unusable('it has a layer that may not be distributed');
  const mediaType = manifest.output.mediaType ?? `${oci}.manifest.v1+json`;
  return { ...described, mediaType, kind: 'manifest', manifest: manifest.output };
}

/** A JSON blob of an image; undefined when it is no JSON. */
export async function readJsonBlob(content: ImageContent, digest: unknown): Promise<unknown> {
  return parseJson(await readSmall((await content.find(digest)).read()));
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}
