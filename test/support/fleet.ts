import { createHash, randomInt, randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { gzipSync } from 'node:zlib';
import { packTar } from 'modern-tar';
import type { Health, RolloutPolicy } from '../../functions/apps/schema.ts';
import type { Artifact } from '../../functions/artifacts/artifact.ts';
import type { Fleet, Revision, RolloutObservation, TargetRef } from '../../functions/ports/fleet.ts';
import type { Objects } from '../../functions/ports/objects.ts';
import type { Secrets } from '../../functions/ports/secrets.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import type { Digest } from '../../functions/runtime/units.ts';

/** Blobs in memory: what a fleet reads of the port. */
export function memoryObjects(): Objects & { add(bytes: Uint8Array): Digest } {
  const blobs = new Map<string, Uint8Array>();
  const unused = () => Promise.reject(new Error('a fleet does not do that'));
  return {
    add: (bytes) => {
      const digest: Digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      blobs.set(digest, bytes);
      return digest;
    },
    find: async (digest) => {
      const blob = blobs.get(digest);
      return blob && { sizeBytes: blob.length };
    },
    read: async (digest) => {
      const blob = blobs.get(digest);
      if (!blob) throw new Problem('not-found', 'no such object');
      return (async function* () {
        yield blob;
      })();
    },
    put: unused,
    receive: unused,
    list: unused,
    remove: unused,
    downloadUrl: unused,
    uploadUrl: unused,
    openUpload: unused,
    finishUpload: unused,
    abandonUpload: unused,
    ready: async () => {},
  };
}

/** Secrets in memory, by `name version`. */
export function memorySecrets(values: Readonly<Record<string, string>>): Secrets {
  const unused = () => Promise.reject(new Error('a fleet does not do that'));
  return {
    read: async (name, version = '1') => {
      const value = values[`${name} ${version}`];
      if (value === undefined) throw new Problem('not-found', `there is no secret ${name}`);
      return { value, version };
    },
    write: unused,
    findVersion: unused,
    list: unused,
    remove: unused,
    ready: async () => {},
  };
}

/** The fixture app as a bundle; always the same bytes. */
export async function appBundle(): Promise<Uint8Array> {
  const body = await readFile(new URL('../fixtures/app/server.mjs', import.meta.url));
  const header = { name: 'server.mjs', size: body.length, mtime: new Date(0) };
  return gzipSync(await packTar([{ header, body }]));
}

export function bundleArtifact(digest: Digest): Artifact {
  const origin = { kind: 'fetch', buildId: 'b', url: 'https://example.com/app.tar.gz' } as const;
  return { app: 'web', digest, kind: 'bundle', sizeBytes: 1, reference: digest, origin, createdAt: 0, phases: [] };
}

export const quickHealth: Health = {
  path: '/health',
  intervalSeconds: 0.1,
  timeoutSeconds: 2,
  healthyThreshold: 1,
  unhealthyThreshold: 2,
  graceSeconds: 10,
};

export const policy: RolloutPolicy = {
  strategy: 'rolling',
  minimumHealthyPercent: 100,
  maximumPercent: 200,
  drainSeconds: 5,
  bakeSeconds: 0,
  failureThreshold: 2,
  timeLimitSeconds: 30,
  stickySessions: false,
};

export function revisionOf(artifact: Artifact, more: Partial<Revision> = {}): Revision {
  return {
    id: randomUUID(),
    deploymentId: randomUUID(),
    artifact,
    ...(artifact.kind === 'bundle' && { command: ['node', 'server.mjs'] }),
    port: 3000,
    env: {},
    secrets: {},
    stopTimeoutSeconds: 5,
    health: quickHealth,
    ...more,
  };
}

export function targetRef(more: Partial<TargetRef['target']> & { domains?: readonly string[] } = {}): TargetRef {
  const { domains = [], ...target } = more;
  return {
    app: 'web',
    environment: 'dev',
    target: { name: 'site', cluster: 'local', desiredCount: 2, wave: 0, ...target },
    domains,
  };
}

/** What a task's environment needs to find node. */
export const taskEnvironment = {
  PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
  HOME: '/nonexistent',
  LANG: 'C.UTF-8',
};

/** A port nobody listens on, below those that systems give to outgoing connections. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(12_000, 20_000);
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer().once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

/** Waits until something is so; looks every 10 ms, and gives up after 20 s with what was seen last. */
export async function until<T>(look: () => Promise<T> | T, isSo: (seen: T) => boolean, ms = 20_000): Promise<T> {
  const deadline = performance.now() + ms;
  for (;;) {
    const seen = await look();
    if (isSo(seen)) return seen;
    if (performance.now() > deadline) throw new Error(`it did not come to be; last seen: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Waits for a rollout to leave `in_progress` and `failed`. */
export function ended(fleet: Fleet, ref: TargetRef, id: string): Promise<RolloutObservation> {
  const isOver = ({ status }: RolloutObservation) => status !== 'in_progress' && status !== 'failed';
  return until(() => fleet.observeRollout(ref, id), isOver, 40_000);
}
