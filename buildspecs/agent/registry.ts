import { join } from 'node:path';
import { Problem } from '../../functions/runtime/errors.ts';
import type { Digest } from '../../functions/runtime/units.ts';
import { withPrivateFolder, writePrivately } from './credential.ts';
import type { EnginePlace } from './engine-commands.ts';
import { enginePlace, keepPublished } from './engine-image.ts';
import type { Outside, Registry } from './outside.ts';

/**
 * Lets the engine's client into the registry while `use` runs: its login is in a folder of its own (`DOCKER_CONFIG`),
 * which is wiped afterwards, and which no other step and no build is told of.
 */
export async function withRegistry<T>(
  outside: Outside,
  registry: Registry,
  use: (place: EnginePlace) => Promise<T>,
): Promise<T> {
  const place = enginePlace(outside);
  const folder = join(outside.work.root, 'registry');
  const auth = await registry.enter();
  return await withPrivateFolder(folder, async () => {
    await writePrivately(join(folder, 'config.json'), JSON.stringify({ auths: { [registry.server]: { auth } } }));
    return await use({ ...place, env: { ...place.env, DOCKER_CONFIG: folder } });
  });
}

/** `sluice-{app}:{deployment}` is `{repository}:{deployment}` in the registry. */
export function deploymentTag(tag: string): string {
  return tag.slice(tag.indexOf(':') + 1);
}

/**
 * An image that an earlier attempt of this very deployment has pushed, before it lost its machine: it is the artifact,
 * as the same tag is never pushed twice. Answers whether there was one; `digest` is what it must have, where that is known.
 */
export async function keepEarlier(
  outside: Outside,
  registry: Registry,
  { tag, digest }: { readonly tag: string; readonly digest?: Digest },
): Promise<boolean> {
  const image = await registry.find(deploymentTag(tag));
  if (!image) return false;
  if (digest !== undefined && image.digest !== digest) {
    throw new Problem('conflict', `The tag ${deploymentTag(tag)} names another image in the registry`);
  }
  outside.print('An earlier attempt of this deployment has pushed its image: taking that one');
  await keepPublished(outside, tag, image);
  return true;
}
