import * as v from 'valibot';
import { WrongUse } from '../failures.ts';

/** What images are described by (https://github.com/opencontainers/image-spec), as far as pushing needs it. */

const digest = v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/));
const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const platform = v.object({ os: v.string(), architecture: v.string(), variant: v.optional(v.string()) });

export const descriptorSchema = v.object({
  mediaType: v.optional(v.string(), ''),
  digest,
  size,
  platform: v.optional(platform),
  annotations: v.optional(v.record(v.string(), v.string()), {}),
});
export const indexSchema = v.object({ manifests: v.array(descriptorSchema) });
export const manifestSchema = v.object({ config: descriptorSchema, layers: v.array(descriptorSchema) });
export const configSchema = v.object({
  architecture: v.optional(v.string(), ''),
  variant: v.optional(v.string()),
  rootfs: v.object({ diff_ids: v.array(digest) }),
});
/** `manifest.json`, by which `docker save` describes what it writes. */
export const savedSchema = v.array(
  v.object({ Config: v.string(), RepoTags: v.optional(v.nullable(v.array(v.string()))), Layers: v.array(v.string()) }),
);

export type Descriptor = v.InferOutput<typeof descriptorSchema>;
export type ImageConfig = v.InferOutput<typeof configSchema>;

/** Throws `WrongUse` for what is not so. */
export function parseDocument<const Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  what: string,
): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  const at = v.getDotPath(parsed.issues[0]);
  throw new WrongUse(`${what} is not as it should be${at === null ? '' : `: ${at}`}.`);
}

export const mediaTypes = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
} as const;
