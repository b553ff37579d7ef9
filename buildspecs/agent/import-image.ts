import { readManifest } from '../../functions/artifacts/manifest.ts';
import type { ImportSpec } from '../../functions/builds/spec.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { keepPublished } from './engine-image.ts';
import { objectsContent } from './image-content.ts';
import type { Outside, Registry } from './outside.ts';
import { pushContent } from './push-image.ts';
import { readVerified } from './read-object.ts';
import { enterRegistry } from './registry-client.ts';
import { deploymentTag, keepEarlier } from './registry.ts';
import { timed } from './state.ts';

/**
 * Brings an image, whose parts are blobs of Objects, to where the fleet runs it: into the registry as it is, with all of
 * its platforms, or into the engine, with the one that runs there. Either way the artifact's digest is that of its OCI
 * manifest, and only what is not there yet travels.
 */
export async function importImage(outside: Outside, wanted: ImportSpec): Promise<void> {
  const objects = { read: async (digest: ImportSpec['manifest']) => readVerified(outside, { digest }) };
  const manifest = await readManifest(objects, wanted.manifest);
  if (manifest.head.kind !== 'image' || manifest.head.digest !== wanted.artifact) {
    throw new Problem('invalid', `The manifest ${wanted.manifest} is not that of the image ${wanted.artifact}`);
  }
  const content = objectsContent(outside, manifest);
  if (outside.registry) {
    const registry = outside.registry;
    return await timed(outside.work, 'store', async () => {
      await importIntoRegistry(outside, registry, { content, ...wanted });
    });
  }
  const { importIntoEngine } = await import('./import-into-engine.ts');
  await importIntoEngine(outside, content, wanted);
}

type Import = Pick<ImportSpec, 'artifact' | 'tag'> & { readonly content: ReturnType<typeof objectsContent> };

async function importIntoRegistry(
  outside: Outside,
  registry: Registry,
  { content, artifact, tag }: Import,
): Promise<void> {
  if (await keepEarlier(outside, registry, { tag, digest: artifact })) return;
  const client = await enterRegistry(registry);
  await client.pushManifest(await pushContent(content, client, { digest: artifact }), deploymentTag(tag));
  const image = await registry.findPushed(deploymentTag(tag));
  if (image.digest !== artifact) throw new Error('the registry gives the image another digest than it was pushed with');
  await keepPublished(outside, tag, image);
}
