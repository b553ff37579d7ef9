import { createHash } from 'node:crypto';
import type { Artifact } from '../artifacts/artifact.ts';
import { readManifest, writeManifest } from '../artifacts/manifest.ts';
import { enterGate } from '../artifacts/prune-gate.ts';
import { rememberArtifact } from '../artifacts/store.ts';
import { getApp } from '../apps/registry.ts';
import { environmentOf } from '../deployments/request.ts';
import type { WorkflowPorts } from '../ports/ports.ts';
import type { Digest } from '../runtime/units.ts';
import { beginChecks, planChecks } from './check.ts';
import { closureOf, type Closure } from './closure/closure.ts';
import type { ClosureIssue } from './closure/walk.ts';
import { addEntries, readContents, type Contents, type Entry, type NamedEntry } from './contents.ts';
import { finishUploads } from './finish-uploads.ts';
import { logJob } from './job-store.ts';
import type { Job } from './job.ts';
import type { JobStep } from './job-step.ts';
import { publishedObjects } from './present.ts';
import type { CommittedArtifact, UploadBuild } from './upload-build.ts';
import { reopened } from './upload-state.ts';
import { appOf, changeUpload, getUpload } from './upload-store.ts';

type CommitJob = Job & { readonly work: Extract<Job['work'], { kind: 'commit' }> };

const mostTold = 1000;
const atOnce = 32;

/** Commits a build: finishes what was sent in parts, verifies everything its refs stand for, and makes its artifact. */
export async function workOnCommit(ports: WorkflowPorts, job: CommitJob): Promise<JobStep> {
  const build = await getUpload(ports.records, job.work.build);
  const { state, artifact, commitJobId } = build;
  if (commitJobId !== job.id) return broken('The build is being committed by another job');
  if (state.status === 'uploading') return broken(state.reason ?? 'The build is open again');
  if (state.status !== 'committing')
    return artifact ? await ended(ports, build, artifact) : broken(`The build is ${state.status}`);
  const finished = await finishUploads(ports, job);
  if (finished.next === 'again') return finished;
  const own = await readContents(ports.records, build.id);
  const closure = await readClosure(ports, job, { build, own });
  const issues = [...finished.issues, ...closure.issues, ...straysAsIssues(closure, job.work.dropStrays)];
  const refusal = issues.length > 0 ? issues : await missingBytes(ports, closure.entries);
  if (refusal.length > 0) {
    await dropLost(ports, job.work.build, { own, issues: refusal });
    return await refuse(ports, job, refusal);
  }
  return await makeArtifact(ports, job, { build, closure });
}

type Filled = { readonly build: UploadBuild; readonly own: Contents };

async function readClosure(ports: WorkflowPorts, job: CommitJob, { build, own }: Filled): Promise<Closure> {
  const refs = build.refs.map(({ ref, commit }) => `Committing ref ${ref} (${commit})`);
  if (job.log === '' && refs.length > 0) await logJob(ports.records, job.id, ...refs);
  const published = await publishedObjects(ports, build);
  const closure = await closureOf(ports.objects, build, { own, published });
  if (build.refs.length > 0) return closure;
  return { ...closure, issues: [{ name: 'the build', issue: 'has no refs: nothing says what it holds' }] };
}

function straysAsIssues({ strays, issues }: Closure, dropped: boolean): readonly ClosureIssue[] {
  // What is behind a missing object would be told as a stray.
  if (dropped || issues.length > 0) return [];
  return strays.map((name) => ({ name, issue: 'belongs to none of the refs' }));
}

/** Everything was verified when it came; that it is still there is asked again, before anything depends on it. */
async function missingBytes(
  { objects }: WorkflowPorts,
  entries: ReadonlyMap<string, Entry>,
): Promise<readonly ClosureIssue[]> {
  const list = [...entries];
  const issues: ClosureIssue[] = [];
  for (let at = 0; at < list.length; at += atOnce) {
    const some = list.slice(at, at + atOnce);
    const found = await Promise.all(some.map(async ([, { digest }]) => await objects.find(digest)));
    some.forEach(([name, { sizeBytes }], index) => {
      if (!found[index]) issues.push({ name, issue: 'is missing' });
      else if (found[index].sizeBytes !== sizeBytes) issues.push({ name, issue: 'has lost bytes' });
    });
  }
  return issues;
}

/** What the build has by name only is taken out of it, so that it counts as missing and is sent again. */
async function dropLost(
  ports: WorkflowPorts,
  build: number,
  { own, issues }: { readonly own: Contents; readonly issues: readonly ClosureIssue[] },
): Promise<void> {
  const named = [...new Set(issues.map(({ name }) => name))].flatMap((name): readonly NamedEntry[] => {
    const entry = own.stored.get(name);
    return entry ? [{ name, ...entry }] : [];
  });
  const lost = await missingBytes(ports, new Map(named.map(({ name, ...entry }) => [name, entry])));
  const entries = named.filter(({ name }) => lost.some((issue) => issue.name === name));
  if (entries.length > 0) await addEntries(ports, build, { kind: 'dropped', entries });
}

/** Says all that is wrong, and opens the build again. */
async function refuse(ports: WorkflowPorts, job: CommitJob, issues: readonly ClosureIssue[]): Promise<JobStep> {
  const lines = issues.slice(0, mostTold).map(({ name, issue }) => `${name} ${issue}`);
  const more = issues.length > mostTold ? [`and ${issues.length - mostTold} more`] : [];
  const first = lines[0] ?? '';
  const reason = issues.length === 1 ? first : `${first} (and ${issues.length - 1} more, told in the log)`;
  await changeUpload(ports.records, job.work.build, (build) => reopened(build, job.id, reason));
  return {
    next: 'broken',
    reason,
    lines: [...lines, ...more, 'The build is open again: put it right, and commit it again'],
  };
}

type Making = { readonly build: UploadBuild; readonly closure: Closure };

async function makeArtifact(ports: WorkflowPorts, job: CommitJob, { build, closure }: Making): Promise<JobStep> {
  const app = await getApp(ports.records, appOf(build));
  const { checks = [] } = environmentOf(app, build.repo);
  const gate = await enterGate(ports);
  const artifact = await storeArtifact(ports, build, closure);
  await dropStrays(ports, build, closure.strays);
  const planned = await planChecks(ports, { job, checks });
  // The build names its artifact before it counts: whoever prunes meanwhile sees that, or this is done anew.
  await changeCommitting(ports, job, (found) => ({ ...found, artifact, checks: planned }));
  await gate.passed();
  const status = planned.length > 0 ? 'validating' : 'ready';
  const committed = await changeCommitting(ports, job, (found) => ({ ...found, state: { status } }));
  if (committed.artifact?.digest !== artifact.digest) return broken('The build is not being committed by this job');
  return await ended(ports, committed, artifact);
}

async function changeCommitting(
  ports: WorkflowPorts,
  job: CommitJob,
  change: (build: UploadBuild) => UploadBuild,
): Promise<UploadBuild> {
  return await changeUpload(ports.records, job.work.build, (found) =>
    found.state.status === 'committing' && found.state.jobId === job.id ? change(found) : undefined,
  );
}

async function storeArtifact(ports: WorkflowPorts, build: UploadBuild, closure: Closure): Promise<CommittedArtifact> {
  const kind = closure.kind ?? 'ostree';
  const entries = new Map(closure.entries);
  const main = closure.index ? await storeIndex(ports, closure.index) : closure.main;
  if (closure.index && main) entries.set(`${main.digest.slice('sha256:'.length)}.blob`, main);
  const refs = build.refs.map(({ ref, commit }) => ({ ref, commit }));
  const head = { kind, refs, ...(main ? { digest: main.digest } : {}) };
  const manifest = await writeManifest(ports.objects, { head, entries });
  const digest = main?.digest ?? manifest.digest;
  await rememberArtifact(ports.records, {
    app: appOf(build),
    digest,
    kind,
    sizeBytes: sizeOf(entries),
    reference: kind === 'image' ? '' : digest,
    manifest: manifest.digest,
    origin: { kind: 'upload', build: build.id },
    createdAt: ports.clock(),
    phases: [],
  } satisfies Artifact);
  return { kind, digest, manifest: manifest.digest };
}

async function storeIndex({ objects }: WorkflowPorts, bytes: Buffer): Promise<Entry> {
  const digest: Digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const { sizeBytes } = await objects.put(digest, once(bytes));
  return { digest, sizeBytes };
}

/** They are no part of the artifact, and not of the build any more. */
async function dropStrays(ports: WorkflowPorts, build: UploadBuild, strays: readonly string[]): Promise<void> {
  if (strays.length === 0) return;
  const { stored } = await readContents(ports.records, build.id);
  const entries = strays.flatMap((name): readonly NamedEntry[] => {
    const entry = stored.get(name);
    return entry ? [{ name, ...entry }] : [];
  });
  await addEntries(ports, build.id, { kind: 'dropped', entries });
}

async function ended(ports: WorkflowPorts, build: UploadBuild, artifact: CommittedArtifact): Promise<JobStep> {
  await beginChecks(ports, build);
  const refs = Object.fromEntries(build.refs.map(({ ref, commit }) => [ref, commit]));
  const { entries } = await readManifest(ports.objects, artifact.manifest);
  const line = `Committed the ${artifact.kind} ${artifact.digest}`;
  return {
    next: 'ended',
    results: { artifact: artifact.digest, kind: artifact.kind, refs, objects: entries.size, bytes: sizeOf(entries) },
    lines: build.checks.length > 0 ? [line, `${build.checks.length} checks follow`] : [line],
  };
}

function broken(reason: string): JobStep {
  return { next: 'broken', reason };
}

function sizeOf(entries: ReadonlyMap<string, Entry>): number {
  return [...entries.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
