import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { Problem } from '../functions/runtime/errors.ts';

/** A container engine that answered: the client to call, and whether it builds with BuildKit. */
export type Engine = { readonly kind: 'docker' | 'podman'; readonly bin: string; readonly buildKit: boolean };

/** `SLUICE_ENGINE`: `auto` takes what there is, `docker` insists on Docker, `process` wants no engine. */
export type EngineSetting = 'auto' | 'docker' | 'process';

/** The environment in which the engine's clients are looked for and run: PATH, HOME, DOCKER_HOST … */
export type EngineEnvironment = Readonly<Record<string, string | undefined>>;

const answerWithinMs = 10_000;

/**
 * Finds the machine's container engine: Docker when its daemon answers, else Podman when that works, else none. Of
 * several Docker clients on the PATH the first that can build with BuildKit is taken, else the first that answers.
 * Throws `Problem('unsupported')` when Docker is asked for and does not answer.
 */
export async function findEngine(setting: EngineSetting, env: EngineEnvironment): Promise<Engine | undefined> {
  if (setting === 'process') return undefined;
  const docker = await findDocker(env);
  if (docker) return docker;
  if (setting === 'docker') {
    const hint = 'Start Docker, or set SLUICE_ENGINE to auto or process.';
    throw new Problem('unsupported', `SLUICE_ENGINE is docker, but no Docker daemon answers. ${hint}`);
  }
  for (const bin of await onPath('podman', env)) {
    // Podman builds with Buildah: no BuildKit, and none needed.
    if (await asks(bin, ['info', '--format', 'json'], env)) return { kind: 'podman', bin, buildKit: false };
  }
  return undefined;
}

async function findDocker(env: EngineEnvironment): Promise<Engine | undefined> {
  let first: Engine | undefined;
  for (const bin of await onPath('docker', env)) {
    const versions = await asks(bin, ['version', '--format', '{{.Client.Version}} {{.Server.APIVersion}}'], env);
    if (versions === undefined) continue;
    const engine: Engine = { kind: 'docker', bin, buildKit: await buildsWithBuildKit(bin, versions, env) };
    if (engine.buildKit) return engine;
    first ??= engine;
  }
  return first;
}

/**
 * Clients before 23 have BuildKit inside (where the daemon's API is 1.39 or newer); later ones need the buildx plugin,
 * and without it `DOCKER_BUILDKIT=1` is an error (https://docs.docker.com/engine/release-notes/23.0/#2300).
 */
async function buildsWithBuildKit(bin: string, versions: string, env: EngineEnvironment): Promise<boolean> {
  const found = /^(\d+)\.\S* 1\.(\d+)/.exec(versions);
  if (!found || Number(found[2]) < 39) return false;
  return Number(found[1]) < 23 || (await asks(bin, ['buildx', 'version'], env)) !== undefined;
}

/** What the client answers; undefined when it fails or takes too long. */
async function asks(bin: string, args: readonly string[], env: EngineEnvironment): Promise<string | undefined> {
  try {
    const options = { env: { ...env }, timeout: answerWithinMs, killSignal: 'SIGKILL', windowsHide: true } as const;
    return (await promisify(execFile)(bin, [...args], options)).stdout.trim();
  } catch {
    return undefined;
  }
}

async function onPath(name: string, env: EngineEnvironment): Promise<readonly string[]> {
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
  const found: string[] = [];
  for (const path of new Set(folders.map((folder) => join(folder, name)))) {
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      found.push(path);
  }
  return found;
}
