import { enterGate } from '../artifacts/prune-gate.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import { addEntries, recallContents, removeEntries, type Added, type NamedEntry } from './contents.ts';
import { checkAppSize, checkBuildSize } from './limits.ts';
import { parseObjectName } from './objects/object-name.ts';
import { verifying } from './objects/verify-name.ts';
import type { UploadBuild } from './upload-build.ts';
import { requireUploading } from './upload-state.ts';
import { changeUpload, getUpload } from './upload-store.ts';
import { countBytes } from './usage.ts';

export type AcceptPorts = Pick<ApiPorts, 'records' | 'objects' | 'policy' | 'newId' | 'clock'>;

/** An object as it is sent: its name, and its bytes. */
export type SentObject = { readonly filename: string; readonly body: AsyncIterable<Uint8Array> };

/**
 * Takes objects into a build: each is stored under its digest and its name proven before all of them are written down
 * together, so a request counts whole or not at all. Answers with their sizes, in their order. Sent again, or twice at
 * once, an object is one object.
 *
 * Throws `Problem('invalid')` for a name that none can have or bytes that are not the name's, `Problem('too-large')` past
 * a limit, `Problem('wrong-repo-state')` for a build that is not open (any more).
 */
export async function acceptObjects(
  ports: AcceptPorts,
  id: number,
  sent: AsyncIterable<SentObject>,
): Promise<readonly number[]> {
  const build = await getUpload(ports.records, id);
  requireUploading(build);
  const gate = await enterGate(ports);
  const taken: NamedEntry[] = [];
  for await (const object of sent) taken.push(await takeObject(ports, build, { object, before: taken }));
  const { stored, declared } = await recallContents(ports.records, id);
  const fresh = [...new Map(taken.map((entry) => [entry.name, entry])).values()].filter(
    ({ name }) => !stored.has(name),
  );
  await writeDown(ports, id, {
    kind: 'stored',
    entries: fresh,
    counted: fresh.filter(({ name }) => !declared.has(name)),
  });
  await gate.passed();
  return taken.map(({ sizeBytes }) => sizeBytes);
}

type Taking = { readonly object: SentObject; readonly before: readonly NamedEntry[] };

async function takeObject(
  { objects, policy: { limits } }: AcceptPorts,
  { uploaded }: UploadBuild,
  { object: { filename: name, body }, before }: Taking,
): Promise<NamedEntry> {
  const parsed = parseObjectName(name);
  const left = limits.buildBytes - uploaded.bytes - before.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const maxBytes = Math.min(limits.objectBytes, Math.max(0, left));
  try {
    if (parsed.digest)
      return { name, digest: parsed.digest, ...(await objects.put(parsed.digest, body, { maxBytes })) };
    const verified = verifying(name, body);
    return { name, ...(await objects.receive(verified.body, { maxBytes, check: verified.check })) };
  } catch (error) {
    throw describe(error, {
      name,
      room: maxBytes < limits.objectBytes ? 'its build has room for' : 'an object may have',
    });
  }
}

/** What the store says of bytes, said of the object they were sent as. */
function describe(error: unknown, { name, room }: { name: string; room: string }): unknown {
  if (!(error instanceof Problem) || error.message.includes(name)) return error;
  if (error.kind === 'too-large') return new Problem('too-large', `${name}: more bytes than ${room}`, { cause: error });
  return new Problem(error.kind, `${name}: ${error.message}`, { cause: error });
}

/** Entries as they are written down; `counted` are those that were not counted before. */
export type Counted = Added & { readonly counted: readonly NamedEntry[] };

/**
 * Writes entries down, and then that the build has them, under the condition that it is open: a commit either sees them
 * or has them refused. What is refused is taken back.
 */
export async function writeDown(ports: AcceptPorts, id: number, { counted, ...added }: Counted): Promise<void> {
  const { limits } = ports.policy;
  const bytes = counted.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const keys = await addEntries(ports, id, added);
  try {
    const build = await changeUpload(ports.records, id, (found) => {
      requireUploading(found);
      if (counted.length === 0) return undefined;
      const uploaded = { objects: found.uploaded.objects + counted.length, bytes: found.uploaded.bytes + bytes };
      checkBuildSize(uploaded, limits);
      return { ...found, uploaded };
    });
    if (build.app !== undefined && bytes > 0) {
      const { app } = build;
      await countBytes(ports.records, app, { bytes, check: (sum) => checkAppSize(app, sum, limits) });
    }
  } catch (error) {
    await removeEntries(ports.records, keys);
    throw error;
  }
}
