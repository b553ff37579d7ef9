import type { RecordKey, Records, Stored } from '../ports/records.ts';
import type { Digest } from '../runtime/units.ts';

/**
 * What was put into a build: object names with the digests and sizes of their bytes. It is kept in segments, one or a few
 * for each upload and never changed, so that a push of 200,000 objects is some hundred records and not 200,000.
 */
export type Entry = { readonly digest: Digest; readonly sizeBytes: number };
export type NamedEntry = Entry & { readonly name: string };

export type Contents = {
  /** Objects whose bytes are stored and verified. */
  readonly stored: ReadonlyMap<string, Entry>;
  /** Objects that are being sent in parts: `commit` finishes those that are whole. */
  readonly declared: ReadonlyMap<string, Entry>;
};

/** `dropped` takes names out again: strays that a commit was told to drop. */
type SegmentKind = 'stored' | 'declared' | 'dropped';
/** The digest's hex digits are left out where the name has them. */
type Packed = readonly [name: string, sizeBytes: number, hex?: string];
type Segment = { readonly kind: SegmentKind; readonly entries: readonly Packed[] };

/** 1,000 names with their digests are some 150 KB of the 400 KiB that a record holds. */
const mostEntries = 1000;
/** A cache of a few large builds: some 100 bytes an entry. */
const mostCachedEntries = 600_000;

const partitionOf = (build: number) => `contents/${build}`;

export type Added = { readonly kind: SegmentKind; readonly entries: readonly NamedEntry[] };

/** Writes down what was put into a build; durable when it resolves. The keys take it back. `newId`: in the order of time. */
export async function addEntries(
  { records, newId }: { readonly records: Records; readonly newId: () => string },
  build: number,
  { kind, entries }: Added,
): Promise<readonly RecordKey[]> {
  const keys: RecordKey[] = [];
  for (let at = 0; at < entries.length; at += mostEntries) {
    const key = { partition: partitionOf(build), sort: newId() };
    const segment: Segment = { kind, entries: entries.slice(at, at + mostEntries).map(pack) };
    await records.create<Segment>(key, segment);
    keys.push(key);
  }
  return keys;
}

/** Takes back what `addEntries` has just written. */
export async function removeEntries(records: Records, keys: readonly RecordKey[]): Promise<void> {
  for (const key of keys) {
    const stored = await records.find<Segment>(key);
    if (stored) await records.remove(stored);
  }
}

/** Forgets everything that was put into a build; safe to run again. */
export async function forgetContents(records: Records, build: number): Promise<void> {
  cacheOf(records).delete(build);
  for (;;) {
    const { items } = await records.list<Segment>({ partition: partitionOf(build), limit: 100 });
    if (items.length === 0) return;
    for (const item of items) await records.remove(item);
  }
}

/** All that is in a build, read anew: what its commit goes by. */
export async function readContents(records: Records, build: number): Promise<Contents> {
  const cached = newCached();
  await readNew(records, build, cached);
  return cached;
}

/**
 * The same for a question that is asked again and again while a build is filled: what this process has read before is
 * not read again. It may lack what another process has added within the last moment.
 */
export async function recallContents(records: Records, build: number): Promise<Contents> {
  const cache = cacheOf(records);
  const cached = cache.get(build) ?? newCached();
  // The last asked for is the last to be forgotten.
  cache.delete(build);
  cache.set(build, cached);
  await readNew(records, build, cached);
  shrink(cache);
  return cached;
}

type Cached = {
  readonly stored: Map<string, Entry>;
  readonly declared: Map<string, Entry>;
  /** The segments that were read, by their sort keys. */
  readonly segments: Set<string>;
};

const caches = new WeakMap<Records, Map<number, Cached>>();

function cacheOf(records: Records): Map<number, Cached> {
  const cache = caches.get(records) ?? new Map<number, Cached>();
  caches.set(records, cache);
  return cache;
}

function shrink(cache: Map<number, Cached>): void {
  let entries = [...cache.values()].reduce((sum, { stored, declared }) => sum + stored.size + declared.size, 0);
  for (const [build, { stored, declared }] of cache) {
    if (entries <= mostCachedEntries || cache.size === 1) return;
    entries -= stored.size + declared.size;
    cache.delete(build);
  }
}

function newCached(): Cached {
  return { stored: new Map(), declared: new Map(), segments: new Set() };
}

/** From the newest on, until there is nothing but what was read before. */
async function readNew(records: Records, build: number, cached: Cached): Promise<void> {
  const fresh: Stored<Segment>[] = [];
  const limit = cached.segments.size === 0 ? 1000 : 20;
  let after: string | undefined;
  do {
    const partition = partitionOf(build);
    const page = await records.list<Segment>({ partition, order: 'descending', limit, ...(after ? { after } : {}) });
    const unread = page.items.filter(({ key }) => !cached.segments.has(key.sort));
    fresh.push(...unread);
    after = unread.length === 0 ? undefined : page.next;
  } while (after !== undefined);
  for (const segment of fresh.reverse()) apply(cached, segment);
}

function apply({ stored, declared, segments }: Cached, { key, value }: Stored<Segment>): void {
  segments.add(key.sort);
  for (const packed of value.entries) {
    const { name, ...entry } = unpack(packed);
    switch (value.kind) {
      case 'stored':
        // Of two who sent the same object the first counts: its bytes may differ where the name is not their digest.
        if (!stored.has(name)) stored.set(name, entry);
        declared.delete(name);
        break;
      case 'declared':
        if (!stored.has(name)) declared.set(name, entry);
        break;
      case 'dropped':
        stored.delete(name);
        declared.delete(name);
        break;
    }
  }
}

function pack({ name, digest, sizeBytes }: NamedEntry): Packed {
  const hex = digest.slice('sha256:'.length);
  return name.startsWith(hex) ? [name, sizeBytes] : [name, sizeBytes, hex];
}

function unpack([name, sizeBytes, hex]: Packed): NamedEntry {
  return { name, sizeBytes, digest: `sha256:${hex ?? name.slice(0, 64)}` };
}
