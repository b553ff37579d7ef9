import { openGate, shutGate } from '../artifacts/prune-gate.ts';
import type { Artifact } from '../artifacts/artifact.ts';
import { artifactsOf, forgetArtifact } from '../artifacts/store.ts';
import type { ApiPorts, WorkflowPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import type { Digest } from '../runtime/units.ts';
import { changeJob, logJob } from './job-store.ts';
import { beginJob, type JobPorts } from './job-turn.ts';
import type { Freed, Job, PruneWish } from './job.ts';
import type { JobStep } from './job-step.ts';
import { allApps, objectsOf, whatToKeep, type Kept, type Scope } from './keep.ts';
import { setUsedBytes } from './usage.ts';

type PruneJob = Job & { readonly work: Extract<Job['work'], { kind: 'prune' }> };

/** A step takes no longer than this before it asks to be called again. */
const budgetMs = 45_000;
/** For longer than a step nothing may be kept out; and nothing is removed any more when others are let in. */
const shutMs = 120_000;
const marginMs = 20_000;
const mostNamed = 200;
const atOnce = 16;

/** Begins to prune: what nothing names any more is freed. */
export async function requestPrune(
  ports: JobPorts & Pick<ApiPorts, 'newId'>,
  wanted: { readonly prune: PruneWish; readonly repo: string | null; readonly actor: string },
): Promise<Job> {
  const { prune, repo, actor } = wanted;
  const work = { kind: 'prune', prune, freed: { objects: 0, bytes: 0, artifacts: 0 } } as const;
  return await beginJob(ports, ports.newId(), { work, repo, createdBy: actor });
}

/**
 * Says what it will free, and frees it: artifacts that nothing names, and objects that are in no artifact and no open
 * build. What is young is left alone, as whoever made it may not have said yet what it is for; and while objects are
 * swept, none is taken in.
 */
export async function workOnPrune(ports: WorkflowPorts, job: PruneJob): Promise<JobStep> {
  const { prune } = job.work;
  const scope = { before: ports.clock() - prune.keepHours * 3_600_000, app: prune.app };
  if (job.log === '' || prune.dryRun) {
    const plan = await look(ports, await whatToKeep(ports, scope), scope);
    if (job.log === '') await tell(ports, job, plan);
    // Its log has said so.
    if (prune.dryRun) return { ...ended(plan, 'Would free'), lines: [] };
  }
  const shutAt = ports.clock();
  const sweep = await shutGate(ports, shutMs);
  try {
    const kept = await whatToKeep(ports, scope);
    const found = await look(ports, kept, scope);
    const until = Math.min(ports.clock() + budgetMs, shutAt + shutMs - marginMs);
    if (ports.clock() > until)
      throw new Error('It takes longer to look at everything than uploads can be kept waiting');
    const freed = await free(ports, found, until);
    const sum = await addFreed(ports, job, freed.freed);
    if (freed.isMore) return { next: 'again' };
    await countAnew(ports, kept);
    return ended(sum, 'Freed');
  } finally {
    await openGate(ports, sweep);
  }
}

/** Sets right how much each app has, also where that is nothing now. */
async function countAnew({ records }: WorkflowPorts, { bytes }: Kept): Promise<void> {
  for await (const { id } of allApps(records)) await setUsedBytes(records, id, bytes.get(id) ?? 0);
}

/** What may go. */
type Found = {
  readonly artifacts: readonly Artifact[];
  /** What the fleet still needs of each app: an index and the manifest in it may be one image there. */
  readonly needed: ReadonlySet<string>;
  readonly blobs: readonly { readonly digest: Digest; readonly sizeBytes: number }[];
};

async function look(ports: WorkflowPorts, kept: Kept, { before }: Scope): Promise<Found> {
  const artifacts: Artifact[] = [];
  const needed = new Set<string>();
  for await (const { id } of allApps(ports.records)) {
    const keptOfApp = kept.artifacts.get(id);
    for await (const artifact of artifactsOf(ports.records, id)) {
      if (keptOfApp?.has(artifact.digest)) needed.add(placeOf(artifact));
      else artifacts.push(artifact);
    }
  }
  const blobs: { digest: Digest; sizeBytes: number }[] = [];
  let after: string | undefined;
  do {
    const page = await ports.objects.list({ limit: 1000, ...(after ? { after } : {}) });
    const free = page.items.filter(({ digest, storedAt }) => storedAt < before && !kept.objects.has(digest));
    blobs.push(...free.map(({ digest, sizeBytes }) => ({ digest, sizeBytes })));
    after = page.next;
  } while (after);
  return { artifacts, needed, blobs };
}

async function tell(ports: WorkflowPorts, job: PruneJob, { artifacts, blobs }: Found): Promise<void> {
  const will = job.work.prune.dryRun ? 'Would free' : 'Will free';
  const named = artifacts.slice(0, mostNamed).map(({ app, kind, digest }) => `  the ${kind} ${digest} of ${app}`);
  const more = artifacts.length > mostNamed ? [`  and ${artifacts.length - mostNamed} more`] : [];
  const summary = `${will} ${artifacts.length} artifacts and ${blobs.length} objects of ${bytesOf(blobs)} bytes`;
  await logJob(ports.records, job.id, summary, ...named, ...more);
}

async function free(
  ports: WorkflowPorts,
  { artifacts, needed, blobs }: Found,
  until: number,
): Promise<{ freed: Freed; isMore: boolean }> {
  const freed = { objects: 0, bytes: 0, artifacts: 0 };
  const spared = new Set<Digest>();
  for (const artifact of artifacts) {
    if (ports.clock() > until) return { freed, isMore: true };
    if (await freeArtifact(ports, artifact, needed)) freed.artifacts += 1;
    else for (const digest of await objectsOf(ports, artifact)) spared.add(digest);
  }
  const free = blobs.filter(({ digest }) => !spared.has(digest));
  for (let at = 0; at < free.length; at += atOnce) {
    if (ports.clock() > until) return { freed, isMore: true };
    const some = free.slice(at, at + atOnce);
    await Promise.all(some.map(async ({ digest }) => await ports.objects.remove(digest)));
    freed.objects += some.length;
    freed.bytes += bytesOf(some);
  }
  return { freed, isMore: false };
}

/** False for one that something runs after all. */
async function freeArtifact(ports: WorkflowPorts, artifact: Artifact, needed: ReadonlySet<string>): Promise<boolean> {
  const isPlaced = artifact.kind === 'image' && artifact.reference !== '';
  try {
    if (isPlaced && !needed.has(placeOf(artifact))) await ports.fleet.discard(artifact);
  } catch (error) {
    if (error instanceof Problem && error.kind === 'conflict') return false;
    throw error;
  }
  await forgetArtifact(ports.records, artifact.app, artifact.digest);
  return true;
}

function placeOf({ app, reference }: Artifact): string {
  return `${app} ${reference}`;
}

async function addFreed(ports: WorkflowPorts, job: PruneJob, freed: Freed): Promise<Freed> {
  const changed = await changeJob(ports.records, job.id, (found) => {
    if (found.work.kind !== 'prune') return undefined;
    return { ...found, work: { ...found.work, freed: sumOf(found.work.freed, freed) } };
  });
  return changed.work.kind === 'prune' ? changed.work.freed : freed;
}

function sumOf(one: Freed, other: Freed): Freed {
  return {
    objects: one.objects + other.objects,
    bytes: one.bytes + other.bytes,
    artifacts: one.artifacts + other.artifacts,
  };
}

function ended(what: Freed | Found, word: string): Extract<JobStep, { next: 'ended' }> {
  const freed =
    'blobs' in what
      ? { objects: what.blobs.length, bytes: bytesOf(what.blobs), artifacts: what.artifacts.length }
      : what;
  const line = `${word} ${freed.artifacts} artifacts and ${freed.objects} objects of ${freed.bytes} bytes`;
  return { next: 'ended', results: { ...freed }, lines: [line] };
}

function bytesOf(blobs: readonly { readonly sizeBytes: number }[]): number {
  return blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
