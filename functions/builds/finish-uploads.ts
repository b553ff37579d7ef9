import { enterGate, type PassingGate } from '../artifacts/prune-gate.ts';
import type { UploadRef } from '../ports/objects.ts';
import type { WorkflowPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import type { ClosureIssue } from './closure/walk.ts';
import { addPassing } from './accept.ts';
import { readContents, type Contents, type NamedEntry } from './contents.ts';
import { parseObjectName } from './objects/object-name.ts';
import { verifying } from './objects/verify-name.ts';
import { logJob } from './job-store.ts';
import type { Job } from './job.ts';
import { uploadIdOf } from './upload-build.ts';

/** A step takes no longer than this before it asks to be called again: a function on AWS has ten minutes, of which one object may take many. */
const budgetMs = 45_000;

const atOnce = 8;

export type Finished = { readonly next: 'again' } | { readonly next: 'done'; readonly issues: readonly ClosureIssue[] };

type CommitJob = Job & { readonly work: { readonly build: number } };

/**
 * Makes objects of what was sent in parts: each is read, and has to have the digest and the name it was announced with.
 * What is not whole is left as it is: it may be sent on, or belong to nothing.
 */
export async function finishUploads(ports: WorkflowPorts, job: CommitJob): Promise<Finished> {
  const { build } = job.work;
  const began = ports.clock();
  const issues: ClosureIssue[] = [];
  const sent = sentOf(build, await readContents(ports.records, build));
  let taken = 0;
  for (let at = 0; at < sent.length; at += atOnce) {
    // Only where something has changed by it: what is not whole is looked at again the next time.
    if (taken > 0 && ports.clock() - began > budgetMs) {
      await logJob(ports.records, job.id, ...issues.map(({ name, issue }) => `${name} ${issue}`));
      return { next: 'again' };
    }
    const gate = await enterGate(ports);
    const some = sent.slice(at, at + atOnce);
    const outcomes = await Promise.all(some.map(async (one) => await finishOne(ports, one)));
    taken += await takeIn(ports, job, { gate, whole: outcomes.filter(({ entries }) => entries.length > 0) });
    issues.push(...outcomes.flatMap((outcome) => outcome.issues));
  }
  return { next: 'done', issues };
}

/** What was sent, and the names it was announced by: two may be those of the same bytes. */
type Sent = { readonly upload: UploadRef; readonly entries: readonly NamedEntry[] };

function sentOf(build: number, { declared }: Contents): readonly Sent[] {
  const byBytes = new Map<string, NamedEntry[]>();
  for (const [name, entry] of declared) {
    const key = `${entry.digest}/${entry.sizeBytes}`;
    byBytes.set(key, [...(byBytes.get(key) ?? []), { name, ...entry }]);
  }
  return [...byBytes.values()].flatMap((entries) => {
    const [first] = entries;
    return first ? [{ upload: { id: uploadIdOf({ id: build }), ...sizeAndDigest(first) }, entries }] : [];
  });
}

function sizeAndDigest({ digest, sizeBytes }: NamedEntry) {
  return { digest, sizeBytes };
}

/** What of it is good, and what is wrong with the rest; neither, where it is not whole. */
async function finishOne(
  ports: WorkflowPorts,
  { upload, entries }: Sent,
): Promise<Sent & { readonly issues: readonly ClosureIssue[] }> {
  const nothing = { upload, entries: [], issues: [] };
  try {
    await ports.objects.finishUpload(upload, { proof: true });
  } catch (error) {
    if (isKind(error, 'conflict')) return nothing;
    if (!isKind(error, 'invalid')) throw error;
    return { ...nothing, issues: entries.map(({ name }) => wrong(name, error)) };
  }
  const good: NamedEntry[] = [];
  const issues: ClosureIssue[] = [];
  for (const entry of entries) {
    try {
      await verifyName(ports, entry);
      good.push(entry);
    } catch (error) {
      if (!isKind(error, 'invalid')) throw error;
      issues.push(wrong(entry.name, error));
    }
  }
  // Where nothing of it is good, all of it is to be sent anew.
  if (good.length === 0) await ports.objects.abandonUpload(upload);
  return { upload, entries: good, issues };
}

function isKind(error: unknown, kind: Problem['kind']): error is Problem {
  return error instanceof Problem && error.kind === kind;
}

function wrong(name: string, { message }: Problem): ClosureIssue {
  return { name, issue: `was sent with other bytes than announced, and is to be sent anew: ${message}` };
}

/** Makes them the build's. The parts go when that is written down: whoever is killed in between finds them again. */
async function takeIn(
  ports: WorkflowPorts,
  job: CommitJob,
  { gate, whole }: { readonly gate: PassingGate; readonly whole: readonly Sent[] },
): Promise<number> {
  const entries = whole.flatMap((one) => one.entries);
  if (entries.length === 0) return 0;
  await addPassing(ports, job.work.build, { gate, kind: 'stored', entries });
  await Promise.all(whole.map(async ({ upload }) => await ports.objects.abandonUpload(upload)));
  const lines = entries.map(({ name, sizeBytes }) => `Verified ${name} (${sizeBytes} bytes)`);
  await logJob(ports.records, job.id, ...lines);
  return entries.length;
}

/** Where the name is not the digest of the bytes, they are read once more. */
async function verifyName({ objects }: WorkflowPorts, { name, digest }: NamedEntry): Promise<void> {
  if (parseObjectName(name).digest) return;
  const verified = verifying(name, await objects.read(digest));
  for await (const chunk of verified.body) void chunk;
  verified.check();
}
