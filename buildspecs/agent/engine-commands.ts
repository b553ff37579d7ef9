import type { ImageSpec } from '../../functions/builds/spec.ts';
import type { EngineClient, Environment } from './outside.ts';
import type { Command } from './run-command.ts';

/** Where an engine's client runs: its folder, and the tools' environment. */
export type EnginePlace = { readonly engine: EngineClient; readonly cwd: string; readonly env: Environment };

/** The label of a container that a build runs: by it the builder finds what the build has left behind. */
export const markLabel = 'sluice.mark';

export type ImageBuild = {
  readonly image: ImageSpec;
  /** Real paths, inside the source. */
  readonly dockerfile: string;
  readonly context: string;
  readonly labels: Readonly<Record<string, string>>;
  /** A file that gets the image's id: a tag may be moved, the id is what was built. */
  readonly idFile: string;
};

/**
 * `docker build` as a value. Build arguments travel in the client's environment (`--build-arg NAME`), where a process
 * list does not show them; those whose names mean something to the client itself are given by value.
 */
export function buildCommand(place: EnginePlace, build: ImageBuild): Command {
  const { args, env } = describeBuild(build);
  return engineCommand({ ...place, env: { ...place.env, ...buildKitSwitch(place.engine), ...env } }, [
    'build',
    ...(place.engine.buildKit ? ['--progress=plain'] : ['--force-rm']),
    `--file=${build.dockerfile}`,
    `--tag=${build.image.tag}`,
    `--iidfile=${build.idFile}`,
    ...args,
    '--',
    build.context,
  ]);
}

/** What is built, as every client understands it: options, and variables for its environment. */
export function describeBuild({ image, labels }: ImageBuild): { args: readonly string[]; env: Environment } {
  const given = Object.entries(image.buildArgs);
  return {
    env: Object.fromEntries(given.filter(([name]) => !meansSomething(name))),
    args: [
      ...(image.target === undefined ? [] : [`--target=${image.target}`]),
      ...Object.entries(labels).map(([name, value]) => `--label=${name}=${value}`),
      ...given.map(([name, value]) => `--build-arg=${name}${meansSomething(name) ? `=${value}` : ''}`),
    ],
  };
}

/** Answers `<id> <bytes>`. */
export function inspectCommand(place: EnginePlace, reference: string): Command {
  return engineCommand(place, ['image', 'inspect', '--format', '{{.Id}} {{.Size}}', '--', reference]);
}
export function pullCommand(place: EnginePlace, reference: string): Command {
  return engineCommand(place, ['pull', '--', reference]);
}
export function tagCommand(place: EnginePlace, names: { readonly reference: string; readonly tag: string }): Command {
  return engineCommand(place, ['tag', '--', names.reference, names.tag]);
}
export function loadCommand(place: EnginePlace, file: string): Command {
  return engineCommand(place, ['load', `--input=${file}`]);
}
/** Loads what comes on its standard input. */
export function loadStreamCommand(place: EnginePlace): Command {
  return engineCommand(place, ['load']);
}
/** Answers `<os>/<architecture>` of where containers run, which need not be this machine's own. */
export function platformCommand(place: EnginePlace): Command {
  return place.engine.kind === 'podman'
    ? engineCommand(place, ['info', '--format', '{{.Host.OS}}/{{.Host.Arch}}'])
    : engineCommand(place, ['version', '--format', '{{.Server.Os}}/{{.Server.Arch}}']);
}

export function engineCommand(place: EnginePlace, args: readonly string[]): Command {
  return { file: place.engine.bin, args, cwd: place.cwd, env: place.env };
}

/** Clients with BuildKit inside need to be told; those without it must not try. Podman knows no such switch. */
function buildKitSwitch({ kind, buildKit }: EngineClient): Environment {
  return kind === 'podman' ? {} : { DOCKER_BUILDKIT: buildKit ? '1' : '0' };
}

/** Variables by which the client, what it starts, or the loader that starts it, would behave otherwise. */
function meansSomething(name: string): boolean {
  const exact =
    /^(?:PATH|HOME|USER|LOGNAME|SHELL|PWD|TMPDIR|TMP|TEMP|TERM|IFS|ENV|LANG|LANGUAGE|TZ|NO_COLOR|SOURCE_DATE_EPOCH)$/i;
  const families =
    /^(?:DOCKER|BUILDKIT|BUILDX|COMPOSE|CONTAINER|CONTAINERS|STORAGE|BUILDAH|PODMAN|REGISTRY|XDG|LC|LD|DYLD|GO|SSH|SSL|GIT|OTEL|SLUICE|GLIBC|MALLOC|GCONV|GPG|DBUS|NODE|AWS)_?/i;
  return exact.test(name) || families.test(name) || /_PROXY$/i.test(name);
}
