import { execFile, spawn } from 'node:child_process';
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { endProcess, programMissing, startRegistry, untilAnswers, type RealRegistry } from './docker-registry.ts';

const run = promisify(execFile);

/** Why no BuildKit and no registry of its own can be run here; undefined when they can. */
export async function buildKitMissing(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'BuildKit needs root';
  return await programMissing(['buildkitd', 'buildx', 'docker-registry', 'docker']);
}

export type BuildKitWorld = RealRegistry & {
  readonly environment: Readonly<Record<string, string>>;
  /** Starts BuildKit anew, with nothing in its own cache: as every build in CodeBuild begins. */
  readonly forget: () => Promise<void>;
};

/** A registry and a BuildKit of its own on this machine, and a `docker` whose `buildx` is the program of that name. */
export async function startBuildKit(): Promise<BuildKitWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-buildkit-'));
  const registry = await startRegistry();
  const socket = join(folder, 'buildkitd.sock');
  const isListening = async () => await access(socket).then(() => true);
  let caches = 0;
  const startDaemon = () => {
    const worker = ['--oci-worker-snapshotter=native', '--containerd-worker=false'];
    const root = join(folder, `buildkit-${++caches}`);
    const args = ['--addr', `unix://${socket}`, '--root', root, ...worker];
    return spawn('buildkitd', args, { stdio: 'ignore', detached: true });
  };
  let daemon = startDaemon();
  const { stdout: docker } = await run('sh', ['-c', 'command -v docker']);
  await mkdir(join(folder, 'bin'));
  const client = `#!/bin/sh\nif [ "$1" = buildx ]; then shift; exec buildx "$@"; fi\nexec ${docker.trim()} "$@"\n`;
  await writeFile(join(folder, 'bin/docker'), client, { mode: 0o755 });
  await untilAnswers(isListening);
  return {
    ...registry,
    environment: {
      PATH: `${join(folder, 'bin')}:${process.env['PATH']}`,
      SLUICE_REGISTRY: registry.registry,
      SLUICE_BUILDKIT_ADDRESS: `unix://${socket}`,
    },
    async forget() {
      await endProcess(daemon);
      daemon = startDaemon();
      await untilAnswers(isListening);
    },
    async remove() {
      await endProcess(daemon);
      await registry.remove();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
