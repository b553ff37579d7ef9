import { imageReferenceIssue } from '../../functions/artifacts/image-reference.ts';
import type { RegistrySpec } from '../../functions/builds/spec.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { pullCommand, type EnginePlace } from './engine-commands.ts';
import { enginePlace, findImage, getImage, keepImage, tagImage } from './engine-image.ts';
import type { Outside } from './outside.ts';
import { CommandFailed, runCommand } from './run-command.ts';
import { timed } from './state.ts';

/**
 * Pulls an image that is ready. Where the registry does not give it but the engine holds exactly that reference, that
 * one is taken, and the log says so: images made on this machine are in no registry.
 */
export async function pullImage(outside: Outside, { reference, tag }: RegistrySpec): Promise<void> {
  const issue = imageReferenceIssue(reference);
  if (issue !== undefined) throw new Problem('invalid', `image: expected ${issue}`);
  if (outside.registry) {
    const { copyIntoRegistry } = await import('./copy-into-registry.ts');
    return await copyIntoRegistry(outside, outside.registry, { reference, tag });
  }
  const place = enginePlace(outside);
  await timed(outside.work, 'pull', async () => await pullOrTake(place, reference, outside.print));
  const { id } = await getImage(place, reference);
  await tagImage(place, { reference: id, tag });
  await timed(outside.work, 'store', async () => await keepImage(outside, { id, tag }));
}

/** Pulls an image; where it cannot be pulled and the engine has it, the log says that this one is taken. */
export async function pullOrTake(place: EnginePlace, reference: string, print: (line: string) => void): Promise<void> {
  try {
    await runCommand(pullCommand(place, reference), print);
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    const said = error.lines.at(-1) ?? error.message;
    if (!(await findImage(place, reference))) {
      throw new Problem('not-found', `The image ${reference} cannot be pulled: ${said}`, { cause: error });
    }
    print(`The image cannot be pulled; taking the ${reference} that the engine has`);
  }
}
