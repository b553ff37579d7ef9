import type { RecordKey, Records, Stored } from '../ports/records.ts';
import { entryMap, type Entry, type EntryMap } from './entry-map.ts';
import type { UploadBuild } from './upload-build.ts';

export type { Entry } from './entry-map.ts';

/**
 * What was put into a build: object names with the digests and sizes of their bytes. It is kept in segments, one or a few
 * for each upload and never changed, so that a push of 200,000 objects is some hundred records and not 200,000.
 */
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
type Segment =
  | { readonly kind: SegmentKind; readonly entries: readonly Packed[] }
  /** Takes back the segments of these sort keys: who has read them already reads anew. */
  | { readonly kind: 'withdrawn'; readonly segments: readonly string[] };

/** 1,000 names with their digests are some 150 KB of the 400 KiB that a record holds. */
const mostEntries = 1000;
/** So many segments are read at once. */
const aPage = 20;
/** A cache of a few large builds. */
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

/**
 * Takes back what `addEntries` has just written, for whoever has read it meanwhile as well: it is said so first, in one
 * write, and what is left of it then means nothing.
 */
export async function withdrawEntries(
  { records, newId }: { readonly records: Records; readonly newId: () => string },
  build: number,
  keys: readonly RecordKey[],
): Promise<void> {
  if (keys.length === 0) return;
  const segments = keys.map(({ sort }) => sort);
  await records.create<Segment>({ partition: partitionOf(build), sort: newId() }, { kind: 'withdrawn', segments });
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
  await readOn(records, build, { cached, isQuiet: false });
  return cached;
}

/**
 * The same for a question that is asked again and again while a build is filled: what this process has read before is
 * not read again. `uploaded` is the build's, read just before: while it stays as it was, a look at the newest segment is
 * enough. It may lack what another process has added within the last moment. After a commit that came to nothing all is
 * read anew: what that has told as missing must not be told as there, whatever was read of it.
 */
export async function recallContents(
  records: Records,
  { id, uploaded, commitJobId }: Pick<UploadBuild, 'id' | 'uploaded' | 'commitJobId'>,
): Promise<Contents> {
  const cache = cacheOf(records);
  const known = cache.get(id);
  const cached = known?.commitJobId === commitJobId ? (known ?? newCached()) : newCached();
  cached.commitJobId = commitJobId;
  // The last asked for is the last to be forgotten.
  cache.delete(id);
  cache.set(id, cached);
  const counted = `${uploaded.objects}/${uploaded.bytes}`;
  const read = async () => {
    await readOn(records, id, { cached, isQuiet: cached.counted === counted });
    cached.counted = counted;
  };
  // One after the other: what one has read the next need not read.
  const reading = cached.reading.then(read);
  cached.reading = reading.catch(() => {});
  await reading;
  shrink(cache);
  return cached;
}

type Cached = {
  readonly stored: EntryMap;
  readonly declared: EntryMap;
  /** The segments that were read, by their sort keys. */
  readonly segments: Set<string>;
  /** Those that were taken back, and whether one of them had been read by then. */
  readonly withdrawn: Set<string>;
  isStale: boolean;
  /** What the build counted when it was read last, and the last commit of it then. */
  counted?: string;
  commitJobId: number | undefined;
  /** Ends when nobody reads it any more. */
  reading: Promise<void>;
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
  return {
    stored: entryMap(),
    declared: entryMap(),
    segments: new Set(),
    withdrawn: new Set(),
    isStale: false,
    commitJobId: undefined,
    reading: Promise.resolve(),
  };
}

type Reading = { readonly cached: Cached; readonly isQuiet: boolean };

async function readOn(records: Records, build: number, reading: Reading): Promise<void> {
  const { cached } = reading;
  await readNew(records, build, reading);
  while (cached.isStale) {
    for (const known of [cached.stored, cached.declared, cached.segments]) known.clear();
    cached.isStale = false;
    await readAll(records, build, cached);
  }
}

/**
 * From the newest on, until there is nothing but what was read before. Segments that are written at once may come in
 * another order than their keys', so a page is read; of a quiet build one alone, as each may hold 150 KB.
 */
async function readNew(records: Records, build: number, { cached, isQuiet }: Reading): Promise<void> {
  if (cached.segments.size === 0) return await readAll(records, build, cached);
  const fresh: Stored<Segment>[] = [];
  let limit = isQuiet ? 1 : aPage;
  let after: string | undefined;
  do {
    const partition = partitionOf(build);
    const page = await records.list<Segment>({ partition, order: 'descending', limit, ...(after ? { after } : {}) });
    const unread = page.items.filter(({ key }) => !cached.segments.has(key.sort));
    fresh.push(...unread);
    after = unread.length === 0 ? undefined : page.next;
    limit = aPage;
  } while (after !== undefined);
  for (const segment of fresh.reverse()) apply(cached, segment);
}

/** From the oldest on, so that no more than a page of them is held. */
async function readAll(records: Records, build: number, cached: Cached): Promise<void> {
  let after: string | undefined;
  do {
    const partition = partitionOf(build);
    const page = await records.list<Segment>({ partition, limit: aPage, ...(after ? { after } : {}) });
    for (const segment of page.items) apply(cached, segment);
    after = page.next;
  } while (after !== undefined);
}

function apply(cached: Cached, { key, value }: Stored<Segment>): void {
  const { stored, declared, segments, withdrawn } = cached;
  segments.add(key.sort);
  if (value.kind === 'withdrawn') return withdraw(cached, value.segments);
  if (withdrawn.has(key.sort)) return;
  for (const packed of value.entries) {
    const [name] = packed;
    switch (value.kind) {
      case 'stored':
        // Of two who sent the same object the first counts: its bytes may differ where the name is not their digest. A
        // delta is another one each time it is made, and its pieces belong together: of those the last ones count.
        if (!stored.has(name) || name.endsWith('.delta')) stored.set(...packed);
        declared.delete(name);
        break;
      case 'declared':
        if (!stored.has(name) || name.endsWith('.delta')) declared.set(...packed);
        break;
      case 'dropped':
        stored.delete(name);
        declared.delete(name);
        break;
    }
  }
}

/** What was read of it before cannot be told from what others have added: all is to be read anew. */
function withdraw(cached: Cached, segments: readonly string[]): void {
  const fresh = segments.filter((segment) => !cached.withdrawn.has(segment));
  if (fresh.some((segment) => cached.segments.has(segment))) cached.isStale = true;
  for (const segment of fresh) cached.withdrawn.add(segment);
}

function pack({ name, digest, sizeBytes }: NamedEntry): Packed {
  const hex = digest.slice('sha256:'.length);
  return name.startsWith(hex) ? [name, sizeBytes] : [name, sizeBytes, hex];
}
