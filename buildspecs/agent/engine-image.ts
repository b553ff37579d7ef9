import { Problem } from '../../functions/runtime/errors.ts';
import { digestPattern, type Digest } from '../../functions/runtime/units.ts';
import { inspectCommand, tagCommand, type EnginePlace } from './engine-commands.ts';
import type { Outside, PublishedImage } from './outside.ts';
import { askCommand, CommandFailed, runCommand } from './run-command.ts';
import { addToState } from './state.ts';

/** Where this build's engine commands run; throws `Problem('unsupported')` where there is no engine. */
export function enginePlace(outside: Outside): EnginePlace {
  if (!outside.engine) throw new Problem('unsupported', 'There is no container engine here, so there are no images');
  return { engine: outside.engine, cwd: outside.work.root, env: outside.environment };
}

/** An image that the engine has; undefined when it has none of that name. */
export async function findImage(
  place: EnginePlace,
  reference: string,
): Promise<{ id: Digest; sizeBytes: number } | undefined> {
  try {
    const [id = '', size = ''] = (await askCommand(inspectCommand(place, reference))).split(' ');
    // Podman leaves the algorithm out.
    const digest = id.startsWith('sha256:') ? id : `sha256:${id}`;
    return digestPattern.test(digest) ? { id: digest as Digest, sizeBytes: Number(size) } : undefined;
  } catch (error) {
    if (error instanceof CommandFailed) return undefined;
    throw error;
  }
}

export async function getImage(place: EnginePlace, reference: string): Promise<{ id: Digest; sizeBytes: number }> {
  const image = await findImage(place, reference);
  if (!image) throw new Problem('not-found', `The container engine has no image ${reference}`);
  return image;
}

/** Tags an image, so that pruning leaves it. */
export async function tagImage(place: EnginePlace, names: { reference: string; tag: string }): Promise<void> {
  await runCommand(tagCommand(place, names), () => {});
}

/** Brings a tagged image to where the fleet finds it, and keeps it as this build's artifact. */
export async function keepImage(outside: Outside, image: { id: Digest; tag: string }): Promise<PublishedImage> {
  if (!outside.publishImage) throw new Error('images of the engine are of no use here: they go to a registry');
  const published = await outside.publishImage(image);
  await keepPublished(outside, image.tag, published);
  return published;
}

/** Keeps an image, that is where the fleet finds it, as this build's artifact. */
export async function keepPublished(outside: Outside, tag: string, image: PublishedImage): Promise<void> {
  await addToState(outside.work, { artifact: { kind: 'image', ...image } });
  outside.print(`Image ${tag} is ${image.reference} (${image.sizeBytes} bytes)`);
}
