import { describeBuild, engineCommand, type EnginePlace, type ImageBuild } from './engine-commands.ts';
import type { BuildKit } from './outside.ts';
import type { Command } from './run-command.ts';

/**
 * Makes a builder: a BuildKit of its own, as the one inside the engine exports neither attestations nor a cache into a
 * registry (https://docs.docker.com/build/builders/drivers/).
 */
export function createBuilderCommand(place: EnginePlace, options: { name: string; buildKit: BuildKit }): Command {
  const { address, image } = options.buildKit;
  const driver =
    address === undefined
      ? ['--driver=docker-container', ...(image === undefined ? [] : [`--driver-opt=image=${image}`])]
      : ['--driver=remote'];
  const endpoint = address === undefined ? [] : ['--', address];
  return engineCommand(place, ['buildx', 'create', `--name=${options.name}`, '--bootstrap', ...driver, ...endpoint]);
}

export function removeBuilderCommand(place: EnginePlace, name: string): Command {
  return engineCommand(place, ['buildx', 'rm', '--force', '--', name]);
}

export type RegistryBuild = ImageBuild & {
  readonly builder: string;
  /** Where the image goes: repository and tag. */
  readonly reference: string;
  /** Where the cache is, and goes. */
  readonly cache: string;
  /** A file that gets what was made, as JSON. */
  readonly metadataFile: string;
  readonly sbomScanner?: string;
};

/**
 * Builds an image and pushes it, with what it was made of (SBOM) and how (provenance) attached, and the cache of every
 * stage. `image-manifest=true,oci-mediatypes=true` is the form of a cache that ECR takes. A cache that is not there, or
 * cannot be written, does not fail the build. The provenance shows the build arguments: they are no place for secrets,
 * nor were they before.
 * https://docs.docker.com/build/cache/backends/registry/ https://docs.docker.com/build/metadata/attestations/
 */
export function buildAndPushCommand(place: EnginePlace, build: RegistryBuild): Command {
  const { args, env } = describeBuild(build);
  const { cache } = build;
  return engineCommand({ ...place, env: { ...place.env, ...env } }, [
    'buildx',
    'build',
    `--builder=${build.builder}`,
    '--progress=plain',
    `--file=${build.dockerfile}`,
    `--output=type=image,name=${build.reference},push=true,oci-mediatypes=true`,
    `--cache-from=type=registry,ref=${cache}`,
    `--cache-to=type=registry,ref=${cache},mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true`,
    '--attest=type=provenance,mode=max',
    ...sbomOption(build.sbomScanner),
    `--metadata-file=${build.metadataFile}`,
    ...args,
    '--',
    build.context,
  ]);
}

function sbomOption(scanner: string | undefined): readonly string[] {
  if (scanner === 'none') return [];
  return [scanner === undefined ? '--attest=type=sbom' : `--attest=type=sbom,generator=${scanner}`];
}

/**
 * Copies an image from one registry into another without the engine: whole, byte by byte, with all its platforms, so
 * that its digest stays. `--prefer-index=false`: a single manifest is not wrapped into an index, which had another one.
 */
export function copyImageCommand(place: EnginePlace, names: { from: string; to: string }): Command {
  const options = ['--prefer-index=false', '--progress=plain', `--tag=${names.to}`];
  return engineCommand(place, ['buildx', 'imagetools', 'create', ...options, '--', names.from]);
}
