import { enterGate, type PassingGate } from '../artifacts/prune-gate.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import type { Digest } from '../runtime/units.ts';
import {
  addEntries,
  forgetContents,
  recallContents,
  withdrawEntries,
  type Added,
  type NamedEntry,
} from './contents.ts';
import { checkAppSize, checkBuildSize } from './limits.ts';
import { parseObjectName } from './objects/object-name.ts';
import { verifying } from './objects/verify-name.ts';
import type { UploadBuild } from './upload-build.ts';
import { takeEach, type ComingObject } from './take-each.ts';
import { requireUploading } from './upload-state.ts';
import { changeUpload, getUpload } from './upload-store.ts';
import { countBytes, usedBytes } from './usage.ts';

export type AcceptPorts = Pick<ApiPorts, 'records' | 'objects' | 'policy' | 'newId' | 'clock'>;

/** An object as it is sent: its name, and its bytes. */
export type SentObject = { readonly filename: string; readonly body: AsyncIterable<Uint8Array> };

/**
 * Takes objects into a build: each is stored under its digest and its name proven before all of them are written down
 * together, so a request counts whole or not at all. Answers with their sizes, in their order. Sent again, or twice at
 * once, an object is one object.
 *
 * Throws `Problem('invalid')` for a name that none can have or bytes that are not the name's, `Problem('too-large')` past
 * a limit, `Problem('wrong-repo-state')` for a build that is not open (any more), `Problem('busy')` during a pruning.
 */
export async function acceptObjects(
  ports: AcceptPorts,
  id: number,
  sent: AsyncIterable<SentObject>,
): Promise<readonly number[]> {
  const build = await getUpload(ports.records, id);
  requireUploading(build);
  const gate = await enterGate(ports);
  const room = await roomOf(ports, build);
  const taken = await takeEach(sent, async (object) => await takeObject(ports, object, room));
  const known = await recallContents(ports.records, await getUpload(ports.records, id));
  // Also what is there already: who has sent it first may yet be refused.
  const entries = [...new Map(taken.map((entry) => [entry.name, entry])).values()];
  const counted = entries.filter(({ name }) => !known.stored.has(name) && !known.declared.has(name));
  await writeDown(ports, id, { gate, kind: 'stored', entries, counted });
  return taken.map(({ sizeBytes }) => sizeBytes);
}

/** How much more may come; what is there already may always come again. */
type Room = {
  readonly of: (name: string) => { readonly maxBytes: number; readonly words: string };
  readonly take: (entry: Pick<NamedEntry, 'name' | 'sizeBytes'>) => void;
};

async function roomOf({ records, policy: { limits } }: AcceptPorts, build: UploadBuild): Promise<Room> {
  const { app, uploaded } = build;
  const { stored, declared } = await recallContents(records, build);
  const used = app === undefined ? 0 : await usedBytes(records, app);
  const known = new Set<string>();
  const isKnown = (name: string) => known.has(name) || stored.has(name) || declared.has(name);
  const { left, words } = [
    { left: limits.buildBytes - uploaded.bytes, words: 'its build has room for' },
    { left: limits.appBytes - used, words: `${app} has room for: purge builds, and prune what is not needed any more` },
  ].reduce((one, other) => (other.left < one.left ? other : one));
  let taken = 0;
  return {
    of(name) {
      const room = Math.max(0, left - taken);
      return isKnown(name) || room >= limits.objectBytes
        ? { maxBytes: limits.objectBytes, words: 'an object may have' }
        : { maxBytes: room, words };
    },
    take({ name, sizeBytes }) {
      if (!isKnown(name)) taken += sizeBytes;
      known.add(name);
    },
  };
}

async function takeObject(
  { objects }: AcceptPorts,
  { filename: name, body, sizeBytes }: ComingObject,
  room: Room,
): Promise<NamedEntry> {
  const parsed = parseObjectName(name);
  const { maxBytes, words } = room.of(name);
  // Others may come before it is stored.
  if (sizeBytes !== undefined) room.take({ name, sizeBytes });
  try {
    const entry = await store(objects, { name, body, maxBytes, digest: parsed.digest });
    if (sizeBytes === undefined) room.take(entry);
    return entry;
  } catch (error) {
    throw describe(error, { name, words });
  }
}

type Storing = {
  readonly name: string;
  readonly body: AsyncIterable<Uint8Array>;
  readonly maxBytes: number;
  readonly digest: Digest | undefined;
};

async function store(objects: AcceptPorts['objects'], { name, body, maxBytes, digest }: Storing): Promise<NamedEntry> {
  if (digest) return { name, digest, ...(await objects.put(digest, body, { maxBytes })) };
  const verified = verifying(name, body);
  return { name, ...(await objects.receive(verified.body, { maxBytes, check: verified.check })) };
}

/** What the store says of bytes, said of the object they were sent as. */
function describe(error: unknown, { name, words }: { name: string; words: string }): unknown {
  if (!(error instanceof Problem) || error.message.includes(name)) return error;
  if (error.kind === 'too-large')
    return new Problem('too-large', `${name}: more bytes than ${words}`, { cause: error });
  return new Problem(error.kind, `${name}: ${error.message}`, { cause: error });
}

/** Entries as they are written down; `counted` are those that were not counted before. */
export type Counted = Added & { readonly gate: PassingGate; readonly counted: readonly NamedEntry[] };

/**
 * Writes entries down, and then that the build has them, under the condition that it is open: a commit either sees them
 * or has them refused. What is refused is taken back.
 */
export async function writeDown(ports: AcceptPorts, id: number, { gate, counted, ...added }: Counted): Promise<void> {
  await addPassing(ports, id, { ...added, gate, andThen: async () => await count(ports, id, counted) });
}

type Passing = Added & { readonly gate: PassingGate; readonly andThen?: () => Promise<void> };

/** Writes entries down unless a sweep may have missed them; what is thrown by `andThen` takes them back as well. */
export async function addPassing(
  ports: Pick<AcceptPorts, 'records' | 'newId'>,
  id: number,
  { gate, andThen, ...added }: Passing,
): Promise<void> {
  const keys = await addEntries(ports, id, added);
  try {
    await gate.passed();
    await andThen?.();
  } catch (error) {
    // Of a build that is purged nothing stays, not even that.
    const isPurged = error instanceof Problem && error.states?.current === 'purged';
    await (isPurged ? forgetContents(ports.records, id) : withdrawEntries(ports, id, keys));
    throw error;
  }
}

/** Counts what has come, for the app and for the build; past a limit for neither. */
async function count(ports: AcceptPorts, id: number, counted: readonly NamedEntry[]): Promise<void> {
  const { records, policy } = ports;
  const bytes = counted.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const { app } = await getUpload(records, id);
  if (app !== undefined && bytes > 0) {
    await countBytes(records, app, { bytes, check: (sum) => checkAppSize(app, sum, policy.limits) });
  }
  try {
    await changeUpload(records, id, (found) => {
      requireUploading(found);
      if (counted.length === 0) return undefined;
      const uploaded = { objects: found.uploaded.objects + counted.length, bytes: found.uploaded.bytes + bytes };
      checkBuildSize(uploaded, policy.limits);
      return { ...found, uploaded };
    });
  } catch (error) {
    if (app !== undefined && bytes > 0) await countBytes(records, app, { bytes: -bytes });
    throw error;
  }
}
