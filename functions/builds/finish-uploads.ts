import { enterGate, type PassingGate } from '../artifacts/prune-gate.ts';
import type { WorkflowPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import type { ClosureIssue } from './closure/walk.ts';
import { addPassing } from './accept.ts';
import { readContents, type Entry } from './contents.ts';
import { parseObjectName } from './objects/object-name.ts';
import { verifying } from './objects/verify-name.ts';
import { logJob } from './job-store.ts';
import type { Job } from './job.ts';
import { uploadIdOf } from './upload-build.ts';

/** A step takes no longer than this before it asks to be called again: a function on AWS has ten minutes, of which one object may take many. */
const budgetMs = 45_000;

export type Finished = { readonly next: 'again' } | { readonly next: 'done'; readonly issues: readonly ClosureIssue[] };

/**
 * Makes objects of what was sent in parts: each is read, and has to have the digest and the name it was announced with.
 * What is not whole is left as it is: it may be sent on, or belong to nothing.
 */
export async function finishUploads(
  ports: WorkflowPorts,
  job: Job & { readonly work: { readonly build: number } },
): Promise<Finished> {
  const { build } = job.work;
  const began = ports.clock();
  const issues: ClosureIssue[] = [];
  const { declared } = await readContents(ports.records, build);
  for (const [name, entry] of declared) {
    if (ports.clock() - began > budgetMs) {
      // The next time they are only not there.
      await logJob(ports.records, job.id, ...issues.map((told) => `${told.name} ${told.issue}`));
      return { next: 'again' };
    }
    const gate = await enterGate(ports);
    const issue = await finishOne(ports, build, { name, entry, gate });
    if (issue === undefined) await logJob(ports.records, job.id, `Verified ${name} (${entry.sizeBytes} bytes)`);
    else if (issue !== 'not whole') issues.push({ name, issue });
  }
  return { next: 'done', issues };
}

type Finishing = { readonly name: string; readonly entry: Entry; readonly gate: PassingGate };

/** What is wrong with it; undefined when it is the build's now. */
async function finishOne(
  ports: WorkflowPorts,
  build: number,
  { name, entry, gate }: Finishing,
): Promise<string | undefined> {
  const upload = { id: uploadIdOf({ id: build }), ...entry };
  try {
    await ports.objects.finishUpload(upload, { proof: true });
    await verifyName(ports, name, entry);
  } catch (error) {
    if (!(error instanceof Problem) || error.kind === 'busy') throw error;
    if (error.kind === 'conflict') return 'not whole';
    // Everything of it is to be sent anew.
    await ports.objects.abandonUpload(upload);
    return `was sent with other bytes than announced, and is to be sent anew: ${error.message}`;
  }
  // The parts go when it is written down: whoever is killed in between finds them again.
  await addPassing(ports, build, { gate, kind: 'stored', entries: [{ name, ...entry }] });
  await ports.objects.abandonUpload(upload);
  return undefined;
}

/** Where the name is not the digest of the bytes, they are read once more. */
async function verifyName({ objects }: WorkflowPorts, name: string, { digest }: Entry): Promise<void> {
  if (parseObjectName(name).digest) return;
  const verified = verifying(name, await objects.read(digest));
  for await (const chunk of verified.body) void chunk;
  verified.check();
}
