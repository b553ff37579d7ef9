import type { Digest } from '../runtime/units.ts';

export type Entry = { readonly digest: Digest; readonly sizeBytes: number };

export type EntryMap = ReadonlyMap<string, Entry> & {
  /** `hex`: the digits of the digest, where the name does not begin with them. */
  set(name: string, sizeBytes: number, hex?: string): void;
  delete(name: string): void;
  clear(): void;
};

/**
 * Entries by the names of their objects. Most names hold the digest, and of those only the size is kept: a build may have
 * 200,000, and so each takes 140 bytes and not 240, which the collector has to copy as well.
 */
export function entryMap(): EntryMap {
  const kept = new Map<string, number | Entry>();

  function* entries(): MapIterator<[string, Entry]> {
    for (const [name, value] of kept) yield [name, entryOf(name, value)];
  }
  function* values(): MapIterator<Entry> {
    for (const [, entry] of entries()) yield entry;
  }

  const map: EntryMap = {
    get size() {
      return kept.size;
    },
    has: (name) => kept.has(name),
    get(name) {
      const value = kept.get(name);
      return value === undefined ? undefined : entryOf(name, value);
    },
    set(name, sizeBytes, hex) {
      kept.set(name, hex === undefined ? sizeBytes : { sizeBytes, digest: `sha256:${hex}` });
    },
    delete: (name) => void kept.delete(name),
    clear: () => kept.clear(),
    keys: () => kept.keys(),
    values,
    entries,
    [Symbol.iterator]: entries,
    forEach(callback) {
      for (const [name, entry] of entries()) callback(entry, name, map);
    },
  };
  return map;
}

function entryOf(name: string, value: number | Entry): Entry {
  return typeof value === 'number' ? { sizeBytes: value, digest: `sha256:${name.slice(0, 64)}` } : value;
}
