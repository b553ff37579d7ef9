import type { CheckSpec } from '../../functions/builds/spec.ts';
import { engineCommand, markLabel, type EnginePlace } from './engine-commands.ts';
import { enginePlace, getImage } from './engine-image.ts';
import type { Environment, Outside } from './outside.ts';
import { pullOrTake } from './pull-image.ts';
import { withRegistry } from './registry.ts';
import { runCommand, watchCommand, type Command } from './run-command.ts';

/** Where a check's image finds the artifact; nothing there can be changed. */
const artifactFolder = '/artifact';

export type ContainerCheck = Pick<CheckSpec, 'command'> & {
  readonly image: string;
  readonly variables: Environment;
};

/** Runs a check's image, or its command in there, and leaves no container behind. Throws `CommandFailed` as it ends. */
export async function checkInContainer(outside: Outside, check: ContainerCheck): Promise<void> {
  const { spec, work, environment, print } = outside;
  const place = enginePlace(outside);
  await pullCheckImage(outside, check.image);
  // Named by its id from here on: the name may lead to another image in a moment.
  const { id } = await getImage(place, check.image);
  const name = containerNameOf(spec);
  const mark = environment['SLUICE_MARK'];
  const command = checkCommand(place, { ...check, image: id, name, folder: work.artifact, ...(mark ? { mark } : {}) });
  try {
    await watchCommand(command, print);
  } finally {
    // Its client may have been ended, but not itself.
    await runCommand(removeContainerCommand(place, name), () => {}).catch(() => {});
  }
}

/** `sluice-{app}-{build}`. */
export function containerNameOf({ app, buildId }: Outside['spec']): string {
  return `sluice-${app}-${buildId}`;
}

/** An image of our own registry is pulled with the build's login, which the check itself never has. */
async function pullCheckImage(outside: Outside, image: string): Promise<void> {
  const { registry, print } = outside;
  const pull = async (place: EnginePlace) => await pullOrTake(place, image, print);
  if (registry && image.startsWith(`${registry.server}/`)) await withRegistry(outside, registry, pull);
  else await pull(enginePlace(outside));
}

export function checkCommand(
  place: EnginePlace,
  check: ContainerCheck & { readonly name: string; readonly folder: string; readonly mark?: string },
): Command {
  const variables = { ...check.variables, SLUICE_ARTIFACT: artifactFolder };
  const inShell = check.command === undefined ? [] : [`--workdir=${artifactFolder}`, '--entrypoint=sh'];
  return engineCommand(place, [
    'run',
    '--rm',
    `--name=${check.name}`,
    ...(check.mark === undefined ? [] : [`--label=${markLabel}=${check.mark}`]),
    // Comma-separated values: quoted, a path may hold what it likes.
    `--mount=type=bind,"source=${check.folder.replaceAll('"', '""')}",target=${artifactFolder},readonly`,
    ...Object.entries(variables).map(([name, value]) => `--env=${name}=${value}`),
    ...inShell,
    '--',
    check.image,
    ...(check.command === undefined ? [] : ['-c', check.command]),
  ]);
}

export function removeContainerCommand(place: EnginePlace, name: string): Command {
  return engineCommand(place, ['rm', '--force', '--volumes', '--', name]);
}
