import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from './fleet.ts';

const run = promisify(execFile);

/** Which of these programs is not here, as a reason to skip; undefined when all are. */
export async function programMissing(programs: readonly string[]): Promise<string | undefined> {
  for (const program of programs) {
    const found = await run('sh', ['-c', `command -v ${program}`]).then(
      () => true,
      () => false,
    );
    if (!found) return `there is no ${program}`;
  }
  return undefined;
}

export type RealRegistry = {
  /** `127.0.0.1:port`; speaks plain HTTP, as clients allow of loopback. */
  readonly registry: string;
  readonly manifest: (repository: string, reference: string) => Promise<Manifest | undefined>;
  readonly blob: (repository: string, digest: string) => Promise<string>;
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

/** A registry of its own on this machine (`docker-registry`, a package of Debian). */
export async function startRegistry(): Promise<RealRegistry> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-registry-'));
  const registry = `127.0.0.1:${await freePort()}`;
  const storage = `{filesystem: {rootdirectory: ${folder}/registry}}`;
  await writeFile(join(folder, 'registry.yml'), `version: 0.1\nstorage: ${storage}\nhttp: {addr: '${registry}'}\n`);
  const server = spawn('docker-registry', ['serve', join(folder, 'registry.yml')], { stdio: 'ignore', detached: true });
  await untilAnswers(async () => (await fetch(`http://${registry}/v2/`)).ok);
  return {
    registry,
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
    async remove() {
      await endProcess(server);
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

export async function endProcess(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

export async function untilAnswers(isThere: () => Promise<boolean>): Promise<void> {
  for (let attempt = 1; attempt <= 100; attempt++) {
    if (await isThere().catch(() => false)) return;
    await pause(100);
  }
  throw new Error('what was started did not answer within 10 s');
}
