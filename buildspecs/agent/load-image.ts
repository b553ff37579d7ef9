import { text } from 'node:stream/consumers';
import { Problem } from '../../functions/runtime/errors.ts';
import { loadCommand } from './engine-commands.ts';
import { enginePlace, getImage, keepImage, tagImage } from './engine-image.ts';
import type { Outside } from './outside.ts';
import { askCommand, CommandFailed } from './run-command.ts';
import { readArchive } from './read-archive.ts';

/**
 * Loads the one image of an archive (`docker save`, or OCI) into the engine, and tags it as this deployment's; or pushes
 * it to the registry, where there is one.
 */
export async function loadImage(outside: Outside, file: string, tag: string): Promise<void> {
  if (outside.registry) {
    const { pushArchive } = await import('./push-archive.ts');
    return await pushArchive(outside, outside.registry, { file, tag });
  }
  await checkImageArchive(file);
  const place = enginePlace(outside);
  const said = await askCommand(loadCommand(place, file)).catch((error: unknown) => {
    const words = error instanceof CommandFailed ? (error.lines.at(-1) ?? error.message) : String(error);
    throw new Problem('invalid', `fetch: the engine cannot load the image: ${words}`, { cause: error });
  });
  const loaded = [...said.matchAll(/^Loaded image(?: ID|\(s\))?: (\S+)$/gm)].map((match) => match[1] ?? '');
  const [reference] = loaded;
  if (reference === undefined) throw new Problem('invalid', 'fetch: the archive holds no image that the engine knows');
  const { id } = await getImage(place, reference);
  await tagImage(place, { reference: id, tag });
  await keepImage(outside, { id, tag });
}

/** Loading sets whatever tags an archive names: it must not take a tag by which another artifact is kept. */
async function checkImageArchive(file: string): Promise<void> {
  let images: readonly string[][] = [];
  for await (const { header, body } of readArchive(file)) {
    const manifest = header.name === 'manifest.json' && header.size < 1024 * 1024;
    if (manifest) images = tagsIn(await text(body));
    else await body.cancel();
  }
  if (images.length > 1)
    throw new Problem('invalid', `fetch: expected an archive of one image, not of ${images.length}`);
  if (images.flat().some((tag) => /(?:^|\/)sluice-/.test(tag))) {
    throw new Problem('invalid', 'fetch: the archive names its image as only Sluice may: sluice-…');
  }
}

function tagsIn(json: string): readonly string[][] {
  try {
    const images = JSON.parse(json) as readonly { readonly RepoTags?: readonly string[] | null }[];
    return images.map((image) => [...(image.RepoTags ?? [])].map(String));
  } catch (cause) {
    throw new Problem('invalid', 'fetch: the image archive’s manifest.json cannot be read', { cause });
  }
}
