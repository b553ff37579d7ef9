import * as v from 'valibot';
import type { ImportSpec } from '../../functions/builds/spec.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { choosePlatform, type EnginePlatform } from './choose-platform.ts';
import { loadStreamCommand, platformCommand, type EnginePlace } from './engine-commands.ts';
import { enginePlace, getImage, keepPublished } from './engine-image.ts';
import { describeContent, readJsonBlob, type ImageContent, type ImageManifest } from './image-content.ts';
import { loadableArchive, type LoadableImage } from './loadable-archive.ts';
import { loadableLayer } from './loadable-layer.ts';
import type { Outside } from './outside.ts';
import { askCommand, CommandFailed, feedCommand } from './run-command.ts';
import { timed } from './state.ts';

/** Loads the platform of an image that this machine's engine runs, straight from its parts. */
export async function importIntoEngine(
  outside: Outside,
  content: ImageContent,
  { artifact, tag }: Pick<ImportSpec, 'artifact' | 'tag'>,
): Promise<void> {
  const place = enginePlace(outside);
  const platform = await askPlatform(place);
  const image = await loadableImage(content, { artifact, tag, platform, print: outside.print });
  await timed(outside.work, 'load', async () => await load(place, image, outside.print));
  const { id } = await getImage(place, tag);
  if (!outside.publishImage) throw new Error('images of the engine are of no use here: they go to a registry');
  const published = await outside.publishImage({ id, tag });
  // What was committed has this digest; the engine knows what it holds of it by another name.
  await keepPublished(outside, tag, { ...published, digest: artifact });
}

async function askPlatform(place: EnginePlace): Promise<EnginePlatform> {
  const [os = '', architecture = ''] = (await askCommand(platformCommand(place))).split('/');
  return { os, architecture };
}

const configSchema = v.object({
  os: v.optional(v.string()),
  architecture: v.optional(v.string()),
  rootfs: v.object({ diff_ids: v.array(v.string()) }),
});

type Wanted = Pick<ImportSpec, 'artifact' | 'tag'> & {
  readonly platform: EnginePlatform;
  readonly print: (line: string) => void;
};

async function loadableImage(
  content: ImageContent,
  { artifact, tag, platform, print }: Wanted,
): Promise<LoadableImage> {
  const manifest = await chosenManifest(content, artifact, platform);
  const config = v.safeParse(configSchema, await readJsonBlob(content, manifest.config.digest));
  if (!config.success) throw content.unusable('its configuration names no layers');
  const { os = platform.os, architecture = platform.architecture, rootfs } = config.output;
  if (os !== platform.os || architecture !== platform.architecture) {
    // It may run all the same, where the machine emulates others.
    print(`The image is for ${os}/${architecture}; this engine runs ${platform.os}/${platform.architecture}`);
  }
  const { diff_ids: diffIds } = rootfs;
  if (diffIds.length !== manifest.layers.length) {
    throw content.unusable('its configuration names another number of layers than its manifest');
  }
  const layers: LoadableImage['layers'][number][] = [];
  for (const [at, layer] of manifest.layers.entries()) {
    layers.push(await loadableLayer(content, { ...layer, diffId: diffIds[at] ?? '' }));
  }
  return { config: await content.find(manifest.config.digest), layers, tag };
}

async function chosenManifest(content: ImageContent, digest: string, platform: EnginePlatform): Promise<ImageManifest> {
  let described = await describeContent(content, digest);
  for (let depth = 0; described.kind === 'index' && depth < 3; depth++) {
    described = await describeContent(content, choosePlatform(described.index, platform).digest);
  }
  if (described.kind === 'index') throw content.unusable('its indexes lead to indexes, again and again');
  return described.manifest;
}

/** The engine compares each layer with what the configuration says of it. */
async function load(place: EnginePlace, image: LoadableImage, print: (line: string) => void): Promise<void> {
  try {
    await feedCommand(loadStreamCommand(place), loadableArchive(image), print);
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    const said = error.lines.at(-1) ?? error.message;
    throw new Problem('invalid', `The engine cannot load the image: ${said}`, { cause: error });
  }
}
