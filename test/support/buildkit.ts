import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Why no BuildKit and no registry of its own can be run here; undefined when they can. */
export async function buildKitMissing(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'BuildKit needs root';
  for (const program of ['buildkitd', 'buildx', 'docker-registry', 'docker']) {
    const found = await run('sh', ['-c', `command -v ${program}`]).then(
      () => true,
      () => false,
    );
    if (!found) return `there is no ${program}`;
  }
  return undefined;
}

export type BuildKitWorld = {
  /** `127.0.0.1:port`; speaks plain HTTP, as clients allow of loopback. */
  readonly registry: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly manifest: (repository: string, reference: string) => Promise<Manifest | undefined>;
  readonly blob: (repository: string, digest: string) => Promise<string>;
  /** Starts BuildKit anew, with nothing in its own cache: as every build in CodeBuild begins. */
  readonly forget: () => Promise<void>;
  readonly remove: () => Promise<void>;
};
export type Manifest = {
  readonly digest: string;
  readonly mediaType?: string;
  readonly manifests?: readonly {
    readonly digest: string;
    readonly platform?: { readonly architecture: string };
    readonly annotations?: Readonly<Record<string, string>>;
  }[];
  readonly layers?: readonly {
    readonly digest: string;
    readonly mediaType: string;
    readonly annotations?: Readonly<Record<string, string>>;
  }[];
  readonly config?: { readonly digest: string; readonly mediaType: string };
};

const accepted = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ');

/** A registry and a BuildKit of its own on this machine, and a `docker` whose `buildx` is the program of that name. */
export async function startBuildKit(): Promise<BuildKitWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-buildkit-'));
  const registry = `127.0.0.1:${await freePort()}`;
  const socket = join(folder, 'buildkitd.sock');
  const start = (file: string, args: readonly string[]) => spawn(file, args, { stdio: 'ignore', detached: true });
  const storage = `{filesystem: {rootdirectory: ${folder}/registry}}`;
  await writeFile(join(folder, 'registry.yml'), `version: 0.1\nstorage: ${storage}\nhttp: {addr: '${registry}'}\n`);
  const server = start('docker-registry', ['serve', join(folder, 'registry.yml')]);
  let caches = 0;
  const startDaemon = () => {
    const worker = ['--oci-worker-snapshotter=native', '--containerd-worker=false'];
    return start('buildkitd', [
      '--addr',
      `unix://${socket}`,
      '--root',
      join(folder, `buildkit-${++caches}`),
      ...worker,
    ]);
  };
  let daemon = startDaemon();
  const { stdout: docker } = await run('sh', ['-c', 'command -v docker']);
  await mkdir(join(folder, 'bin'));
  const client = `#!/bin/sh\nif [ "$1" = buildx ]; then shift; exec buildx "$@"; fi\nexec ${docker.trim()} "$@"\n`;
  await writeFile(join(folder, 'bin/docker'), client, { mode: 0o755 });
  await answers(async () => (await fetch(`http://${registry}/v2/`)).ok);
  await answers(async () => await access(socket).then(() => true));
  return {
    registry,
    environment: {
      PATH: `${join(folder, 'bin')}:${process.env['PATH']}`,
      SLUICE_REGISTRY: registry,
      SLUICE_BUILDKIT_ADDRESS: `unix://${socket}`,
    },
    async manifest(repository, reference) {
      const response = await fetch(`http://${registry}/v2/${repository}/manifests/${reference}`, {
        headers: { accept: accepted },
      });
      if (!response.ok) return undefined;
      const digest = response.headers.get('docker-content-digest') ?? '';
      return { ...((await response.json()) as Manifest), digest };
    },
    blob: async (repository, digest) =>
      await (await fetch(`http://${registry}/v2/${repository}/blobs/${digest}`)).text(),
    async forget() {
      await end(daemon);
      daemon = startDaemon();
      await answers(async () => await access(socket).then(() => true));
    },
    async remove() {
      await end(daemon);
      await end(server);
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

async function answers(isThere: () => Promise<boolean>): Promise<void> {
  for (let attempt = 1; attempt <= 100; attempt++) {
    if (await isThere().catch(() => false)) return;
    await pause(100);
  }
  throw new Error('the registry or BuildKit did not start within 10 s');
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
