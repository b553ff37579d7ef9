import { readManifest, type ManifestEntry } from '../artifacts/manifest.ts';
import { readPointer } from '../artifacts/pointer.ts';
import { artifactsOf, findArtifact } from '../artifacts/store.ts';
import { listApps, type AppRecord } from '../apps/registry.ts';
import type { Artifact } from '../artifacts/artifact.ts';
import type { Deployment } from '../deployments/deployment.ts';
import { listReleases } from '../deployments/releases.ts';
import { findDeployment, openDeployments } from '../deployments/store.ts';
import { targetRefs } from '../deployments/target-refs.ts';
import type { WorkflowPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import type { Digest, EpochMs } from '../runtime/units.ts';
import { readContents } from './contents.ts';
import type { UploadBuild } from './upload-build.ts';
import { openUploads } from './upload-store.ts';

type KeepPorts = Pick<WorkflowPorts, 'records' | 'objects' | 'log'> & {
  readonly fleet: Pick<WorkflowPorts['fleet'], 'view'>;
};

/** All that must not be pruned. */
export type Kept = {
  /** The artifacts of each app. */
  readonly artifacts: ReadonlyMap<string, ReadonlySet<Digest>>;
  /** Blobs, whoever's. */
  readonly objects: ReadonlySet<Digest>;
  /** How many bytes each app has of them; what two apps have counts for both. */
  readonly bytes: ReadonlyMap<string, number>;
};

/** What is looked at: artifacts made since `before`, and those of other apps than `app`, are kept whatever names them. */
export type Scope = { readonly before: EpochMs; readonly app?: string | undefined };

/**
 * What is named by anything that may still be asked for: what targets run, what environments have run and published, what
 * is being deployed, and what builds hold that are not published or purged yet.
 */
export async function whatToKeep(ports: KeepPorts, scope: Scope): Promise<Kept> {
  const keeping = newKeeping();
  // What is open comes before where it goes: what is published or released meanwhile is found here or there.
  for await (const deployment of openOnes<Deployment>(ports.records, openDeployments))
    keepOfDeployment(keeping, deployment);
  for await (const build of openOnes<UploadBuild>(ports.records, openUploads)) await keepOfBuild(ports, keeping, build);
  for await (const app of allApps(ports.records)) {
    await keepOfApp(ports, keeping, app);
    for await (const { digest, createdAt } of artifactsOf(ports.records, app.id)) {
      const isOther = scope.app !== undefined && scope.app !== app.id;
      if (isOther || createdAt >= scope.before) keeping.artifact(app.id, digest);
    }
  }
  for (const [app, digests] of keeping.artifacts) {
    for (const digest of digests) await keepArtifact(ports, keeping, { app, digest });
  }
  for (const [app, manifests] of keeping.manifests) {
    for (const manifest of manifests) await keepManifest(ports, keeping, { app, manifest });
  }
  return { artifacts: keeping.artifacts, objects: keeping.objects, bytes: keeping.sums() };
}

type Keeping = ReturnType<typeof newKeeping>;

function newKeeping() {
  const artifacts = new Map<string, Set<Digest>>();
  const manifests = new Map<string, Set<Digest>>();
  const objects = new Set<Digest>();
  const sizes = new Map<string, Map<Digest, number>>();
  return {
    artifacts,
    manifests,
    objects,
    artifact(app: string, digest: Digest | undefined): void {
      if (digest === undefined) return;
      const known = artifacts.get(app) ?? new Set();
      artifacts.set(app, known.add(digest));
    },
    /** The same artifact may be listed by more than one: who has published it names its own. */
    manifest(app: string, digest: Digest | undefined): void {
      if (digest === undefined) return;
      const known = manifests.get(app) ?? new Set();
      manifests.set(app, known.add(digest));
    },
    object(app: string, digest: Digest, sizeBytes: number): void {
      objects.add(digest);
      const known = sizes.get(app) ?? new Map<Digest, number>();
      sizes.set(app, known.set(digest, sizeBytes));
    },
    sums(): Map<string, number> {
      return new Map([...sizes].map(([app, of]) => [app, [...of.values()].reduce((sum, bytes) => sum + bytes, 0)]));
    },
  };
}

async function keepOfApp(ports: KeepPorts, keeping: Keeping, { id, app }: AppRecord): Promise<void> {
  for (const environment of app.environments) {
    const place = { app: id, environment: environment.name };
    for (const { artifact, manifest } of (await readPointer(ports.records, place)).history) {
      keeping.artifact(id, artifact);
      keeping.manifest(id, manifest);
    }
    for (const { deploymentId, restores } of await listReleases(ports.records, id, environment.name)) {
      const ids = restores === undefined ? [deploymentId] : [deploymentId, restores];
      const found = await Promise.all(ids.map(async (one) => await findDeployment(ports.records, one)));
      for (const deployment of found) if (deployment) keepOfDeployment(keeping, deployment);
    }
    for (const ref of targetRefs(id, environment)) {
      const { revision } = await ports.fleet.view(ref);
      keeping.artifact(id, revision?.artifact.digest);
    }
  }
}

function keepOfDeployment(keeping: Keeping, { app, artifact, revision, request }: Deployment): void {
  keeping.artifact(app, artifact);
  keeping.artifact(app, revision?.artifact.digest);
  if (request.kind === 'artifact') keeping.artifact(app, request.digest);
}

async function keepOfBuild({ records }: KeepPorts, keeping: Keeping, build: UploadBuild): Promise<void> {
  const { app = '', state, published, artifact } = build;
  // What has failed is put right by another build, and what was published is kept by where it is.
  if (state.status === 'failed' || published.status === 'published') return;
  if (build.app !== undefined) keeping.artifact(app, artifact?.digest);
  keeping.manifest(app, artifact?.manifest);
  const { stored, declared } = await readContents(records, build.id);
  for (const { digest, sizeBytes } of [...stored.values(), ...declared.values()])
    keeping.object(app, digest, sizeBytes);
}

async function keepArtifact(
  ports: KeepPorts,
  keeping: Keeping,
  { app, digest }: { readonly app: string; readonly digest: Digest },
): Promise<void> {
  const artifact = await findArtifact(ports.records, app, digest);
  keeping.object(app, digest, artifact && isOneBlob(artifact) ? artifact.sizeBytes : 0);
  keeping.manifest(app, artifact?.manifest);
}

async function keepManifest(
  ports: KeepPorts,
  keeping: Keeping,
  { app, manifest }: { readonly app: string; readonly manifest: Digest },
): Promise<void> {
  keeping.object(app, manifest, 0);
  for (const entry of await entriesOf(ports, manifest)) keeping.object(app, entry.digest, entry.sizeBytes);
}

/** Every blob that an artifact is made of. */
export async function objectsOf(
  ports: Pick<KeepPorts, 'objects' | 'log'>,
  { digest, manifest }: Artifact,
): Promise<readonly Digest[]> {
  if (!manifest) return [digest];
  return [digest, manifest, ...(await entriesOf(ports, manifest)).map((entry) => entry.digest)];
}

/** One that is lost cannot be brought back by keeping everything for ever. */
async function entriesOf(
  { objects, log }: Pick<KeepPorts, 'objects' | 'log'>,
  manifest: Digest,
): Promise<readonly ManifestEntry[]> {
  try {
    return [...(await readManifest(objects, manifest)).entries.values()];
  } catch (error) {
    if (!(error instanceof Problem && error.kind === 'not-found')) throw error;
    log.error('the manifest of an artifact is lost', { manifest });
    return [];
  }
}

function isOneBlob({ kind, manifest }: Artifact): boolean {
  return kind === 'bundle' && manifest === undefined;
}

/** Every app there is. */
export async function* allApps(records: KeepPorts['records']): AsyncGenerator<AppRecord> {
  let cursor: string | undefined;
  do {
    const page = await listApps(records, { limit: 100, ...(cursor ? { cursor } : {}) });
    yield* page.items;
    cursor = page.next ?? undefined;
  } while (cursor);
}

async function* openOnes<T>(records: KeepPorts['records'], partition: string): AsyncGenerator<T> {
  let after: string | undefined;
  do {
    const page = await records.list<T>({ partition, index: 'open', limit: 100, ...(after ? { after } : {}) });
    for (const { value } of page.items) yield value;
    after = page.next;
  } while (after);
}
