import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Problem } from '../../functions/runtime/errors.ts';
import { buildAndPushCommand, createBuilderCommand, removeBuilderCommand } from './buildx-commands.ts';
import type { EnginePlace, ImageBuild } from './engine-commands.ts';
import { keepPublished } from './engine-image.ts';
import type { Outside, PublishedImage, Registry } from './outside.ts';
import { deploymentTag, keepEarlier, withRegistry } from './registry.ts';
import { CommandFailed, passCommand, runCommand } from './run-command.ts';
import { timed } from './state.ts';

/** Builds an image straight into the registry and keeps it by its digest there: that of the index, with attestations. */
export async function buildIntoRegistry(outside: Outside, registry: Registry, build: ImageBuild): Promise<void> {
  const { tag } = build.image;
  if (await keepEarlier(outside, registry, { tag })) return;
  const metadataFile = join(outside.work.root, 'image.json');
  await withRegistry(outside, registry, async (place) => {
    await withBuilder(outside, { place, registry }, async (builder) => {
      const command = buildAndPushCommand(place, {
        ...build,
        builder,
        metadataFile,
        reference: `${registry.repository}:${deploymentTag(tag)}`,
        cache: `${registry.repository}:cache`,
        ...(registry.buildKit.sbomScanner === undefined ? {} : { sbomScanner: registry.buildKit.sbomScanner }),
      });
      await timed(outside.work, 'image', async () => await passCommand(command));
    });
  });
  const image = await timed(outside.work, 'store', async () => await registry.findPushed(deploymentTag(tag)));
  await checkDigest(image, metadataFile);
  await keepPublished(outside, tag, image);
}

async function withBuilder(
  outside: Outside,
  { place, registry }: { place: EnginePlace; registry: Registry },
  use: (builder: string) => Promise<void>,
): Promise<void> {
  const name = `sluice-${outside.spec.buildId.toLowerCase()}`;
  const { buildKit } = registry;
  try {
    const command = createBuilderCommand(place, { name, buildKit });
    await timed(outside.work, 'builder', async () => await runCommand(command, outside.print));
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    const said = error.lines.at(-1) ?? error.message;
    const hint = 'where Docker Hub cannot be reached, SLUICE_BUILDKIT_IMAGE names another image of it';
    throw new Problem('unsupported', `BuildKit cannot be started: ${said} (${hint})`, { cause: error });
  }
  try {
    await use(name);
  } finally {
    // The build's machine goes anyhow; one with a BuildKit of its own must not collect builders.
    await runCommand(removeBuilderCommand(place, name), () => {}).catch(() => {});
  }
}

/** What BuildKit says it pushed must be what the tag names: it is the tag that keeps it from being cleared away. */
async function checkDigest(image: PublishedImage, metadataFile: string): Promise<void> {
  const said = JSON.parse(await readFile(metadataFile, 'utf8')) as { readonly 'containerimage.digest'?: string };
  if (said['containerimage.digest'] === image.digest) return;
  throw new Error('the registry names another image by this deployment’s tag than BuildKit has pushed');
}
