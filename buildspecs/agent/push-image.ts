import { describeContent, type ImageContent } from './image-content.ts';
import type { ManifestBytes, RegistryClient } from './registry-client.ts';

/** An index of indexes is as deep as the specification has any use for. */
const mostDepth = 3;

/** What an index says of a part of it; of the image itself nobody need say it. */
type Part = { readonly digest: unknown; readonly mediaType?: string | undefined; readonly depth?: number };

/**
 * Pushes all that an image is made of, each part before what names it, and only what the registry lacks. Answers with its
 * own manifest, or index, which is not pushed yet: every byte stays as it is, and so every digest.
 */
export async function pushContent(
  content: ImageContent,
  client: RegistryClient,
  { digest, mediaType, depth = 0 }: Part,
): Promise<ManifestBytes> {
  const described = await describeContent(content, digest);
  if (described.kind === 'index') {
    if (depth === mostDepth) throw content.unusable('its indexes lead to indexes, again and again');
    for (const child of described.index.manifests) {
      const part = await pushContent(content, client, { ...child, depth: depth + 1 });
      await client.pushManifest(part, part.digest);
    }
  } else {
    const { config, layers } = described.manifest;
    for (const part of [config, ...layers]) await client.pushBlob(await content.find(part.digest));
  }
  return { mediaType: mediaType ?? described.mediaType, digest: described.digest, bytes: described.bytes };
}
