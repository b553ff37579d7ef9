import type { RegistrySpec } from '../../functions/builds/spec.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { copyImageCommand } from './buildx-commands.ts';
import { keepPublished } from './engine-image.ts';
import type { Outside, Registry } from './outside.ts';
import { deploymentTag, keepEarlier, withRegistry } from './registry.ts';
import { CommandFailed, runCommand } from './run-command.ts';
import { timed } from './state.ts';

/** Copies a ready-made image into the app's repository, where no one else can remove or replace it. */
export async function copyIntoRegistry(
  outside: Outside,
  registry: Registry,
  { reference, tag }: RegistrySpec,
): Promise<void> {
  if (await keepEarlier(outside, registry, { tag })) return;
  const to = `${registry.repository}:${deploymentTag(tag)}`;
  await timed(outside.work, 'copy', async () => {
    try {
      await withRegistry(outside, registry, async (place) => {
        await runCommand(copyImageCommand(place, { from: reference, to }), outside.print);
      });
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      const said = error.lines.at(-1) ?? error.message;
      throw new Problem('not-found', `The image ${reference} cannot be copied: ${said}`, { cause: error });
    }
  });
  const image = await timed(outside.work, 'store', async () => await registry.findPushed(deploymentTag(tag)));
  await keepPublished(outside, tag, image);
}
