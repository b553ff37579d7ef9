import { enterGate } from '../artifacts/prune-gate.ts';
import type { Upload } from '../ports/objects.ts';
import { Problem } from '../runtime/errors.ts';
import { invalid } from '../runtime/parse.ts';
import type { Digest } from '../runtime/units.ts';
import { writeDown, type AcceptPorts } from './accept.ts';
import { recallContents, type NamedEntry } from './contents.ts';
import { checkObjectSize } from './limits.ts';
import { parseObjectName } from './objects/object-name.ts';
import { publishedObjects } from './present.ts';
import { uploadIdOf } from './upload-build.ts';
import { requireUploading } from './upload-state.ts';
import { getUpload } from './upload-store.ts';

export type DeclaredObject = {
  readonly name: string;
  readonly sizeBytes: number;
  /** Of its bytes; only where the name is not that itself. */
  readonly digest?: Digest | undefined;
};

export type Transfer = { readonly name: string } & (
  | { readonly status: 'stored' }
  | Extract<Upload, { status: 'open' }>
);

/** A URL is good for so long; whoever needs longer asks again. */
const seconds = 3600;
const atOnce = 8;

/**
 * Says for each object where its bytes are to be put, in parts, straight into the store; asked again, what of it is
 * missing. They are the build's once `commit` has finished and verified them. The bytes must be sent though another app
 * has the very same: who has not got them is not told of them.
 *
 * Throws `Problem('invalid')`, `Problem('too-large')` past a limit, `Problem('wrong-repo-state')`.
 */
export async function declareUploads(
  ports: AcceptPorts,
  id: number,
  declared: readonly DeclaredObject[],
): Promise<readonly Transfer[]> {
  const entries = declared.map(asEntry);
  for (const { name, sizeBytes } of entries) checkObjectSize(name, sizeBytes, ports.policy.limits);
  const build = await getUpload(ports.records, id);
  requireUploading(build);
  const gate = await enterGate(ports);
  const [own, published] = await Promise.all([recallContents(ports.records, build), publishedObjects(ports, build)]);
  const wanted = entries.filter((entry) => !isThere(own.stored, entry) && !isThere(published, entry));
  const fresh = [...new Map(wanted.map((entry) => [entry.name, entry])).values()].filter(
    (entry) => !isSame(own.declared.get(entry.name), entry),
  );
  const counted = fresh.filter(({ name }) => !own.stored.has(name));
  if (fresh.length > 0) await writeDown(ports, id, { gate, kind: 'declared', entries: fresh, counted });
  const transfers: Transfer[] = [];
  for (let at = 0; at < entries.length; at += atOnce) {
    const some = entries.slice(at, at + atOnce);
    transfers.push(...(await Promise.all(some.map(async (entry) => await transferOf(ports, id, { entry, wanted })))));
  }
  return transfers;
}

async function transferOf(
  { objects }: AcceptPorts,
  id: number,
  { entry, wanted }: { entry: NamedEntry; wanted: readonly NamedEntry[] },
): Promise<Transfer> {
  const { name, digest, sizeBytes } = entry;
  if (!wanted.includes(entry)) return { name, status: 'stored' };
  const upload = await objects.openUpload({ id: uploadIdOf({ id }), digest, sizeBytes }, { seconds, proof: true });
  if (upload.status === 'stored') throw new Error('An upload that asks for a proof was answered as stored');
  return { name, ...upload };
}

function asEntry({ name, sizeBytes, digest: given }: DeclaredObject, index: number): NamedEntry {
  const { digest } = parseObjectName(name);
  const field = `objects[${index}].digest`;
  if (digest && given && digest !== given) {
    throw invalid('upload', [{ field, expected: 'the digest that the name says, or none' }]);
  }
  const known = digest ?? given;
  if (!known) throw invalid('upload', [{ field, expected: 'the digest of the bytes, as the name is not that' }]);
  if (sizeBytes < 1) throw new Problem('invalid', `${name} is empty: send it by upload`);
  return { name, digest: known, sizeBytes };
}

/** Pieces of a delta are other ones each time they are made; all else that has the name is as good. */
function isThere(known: ReadonlyMap<string, Omit<NamedEntry, 'name'>>, entry: NamedEntry): boolean {
  const found = known.get(entry.name);
  return found !== undefined && (!entry.name.endsWith('.delta') || isSame(found, entry));
}

function isSame(one: Omit<NamedEntry, 'name'> | undefined, other: NamedEntry): boolean {
  return one?.digest === other.digest && one.sizeBytes === other.sizeBytes;
}
