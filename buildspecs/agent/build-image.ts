import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageSpec, SourceSpec } from '../../functions/builds/spec.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { digestPattern, type Digest } from '../../functions/runtime/units.ts';
import { buildCommand, type ImageBuild } from './engine-commands.ts';
import { enginePlace, keepImage } from './engine-image.ts';
import { pathInside } from './inside.ts';
import type { Outside } from './outside.ts';
import { passCommand } from './run-command.ts';
import { readState, timed } from './state.ts';

/**
 * Builds the app's image from the Dockerfile of the checked out source. The context has no `.git`, as when Docker is
 * given a Git URL: it would bring the whole history into images and change the cache key of `COPY . .` at every commit.
 */
export async function buildImage(outside: Outside, work: { image: ImageSpec; source: SourceSpec }): Promise<void> {
  const place = enginePlace(outside);
  const build = await planImageBuild(outside, work);
  await rm(join(outside.work.source, '.git'), { recursive: true, force: true });
  if (outside.registry) {
    const { buildIntoRegistry } = await import('./build-into-registry.ts');
    return await buildIntoRegistry(outside, outside.registry, build);
  }
  await timed(outside.work, 'image', async () => await passCommand(buildCommand(place, build)));
  const id = await readImageId(build.idFile);
  await timed(outside.work, 'store', async () => await keepImage(outside, { id, tag: work.image.tag }));
}

async function planImageBuild(
  outside: Outside,
  { image, source }: { image: ImageSpec; source: SourceSpec },
): Promise<ImageBuild> {
  const dockerfile = await pathInside(outside.work.source, image.dockerfile, 'build.dockerfile');
  const context = await pathInside(outside.work.source, image.context, 'build.context');
  if (!(await stat(dockerfile)).isFile()) throw new Problem('invalid', 'build.dockerfile: expected a file');
  if (!(await stat(context)).isDirectory()) throw new Problem('invalid', 'build.context: expected a folder');
  const { commit } = (await readState(outside.work)).source ?? {};
  const labels = {
    'org.opencontainers.image.source': source.repoUrl,
    ...(commit === undefined ? {} : { 'org.opencontainers.image.revision': commit }),
    'sluice.app': outside.spec.app,
    'sluice.deployment': outside.spec.deploymentId,
  };
  return { image, dockerfile, context, labels, idFile: join(outside.work.root, 'image-id') };
}

async function readImageId(file: string): Promise<Digest> {
  const id = (await readFile(file, 'utf8')).trim();
  const digest = id.startsWith('sha256:') ? id : `sha256:${id}`;
  if (!digestPattern.test(digest)) throw new Error('the engine gave no image id');
  return digest as Digest;
}
