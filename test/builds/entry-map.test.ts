import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entryMap, type Entry } from '../../functions/builds/entry-map.ts';

const hex = (seed: number) => seed.toString(16).repeat(64).slice(0, 64);
const digits = fc.integer({ min: 1, max: 15 }).map(hex);
/** Names that hold their digest, and those that do not. */
const object = fc.oneof(
  digits.map((own) => ({ name: `${own}.blob`, other: undefined })),
  fc.record({ name: digits.map((own) => `${own}.filez`), other: digits }),
);
const change = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), object, sizeBytes: fc.nat() }),
  fc.record({ kind: fc.constant('delete' as const), object }),
  fc.constant({ kind: 'clear' as const }),
);

describe('entries by the names of objects', () => {
  it('are what a map of whole entries would hold', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const [ours, plain] = [entryMap(), new Map<string, Entry>()];
        for (const each of changes) {
          if (each.kind === 'clear') for (const map of [ours, plain]) map.clear();
          else if (each.kind === 'delete') for (const map of [ours, plain]) map.delete(each.object.name);
          else {
            const { name, other } = each.object;
            ours.set(name, each.sizeBytes, other);
            plain.set(name, { sizeBytes: each.sizeBytes, digest: `sha256:${other ?? name.slice(0, 64)}` });
          }
        }
        const told: [string, Entry][] = [];
        ours.forEach((entry, name) => told.push([name, entry]));
        for (const seen of [[...ours], [...ours.entries()], told]) expect(seen).toEqual([...plain]);
        expect([...ours.keys()]).toEqual([...plain.keys()]);
        expect([...ours.values()]).toEqual([...plain.values()]);
        expect(ours.size).toBe(plain.size);
        for (const seed of Array.from({ length: 16 }, (_, index) => index)) {
          for (const name of [`${hex(seed)}.blob`, `${hex(seed)}.filez`]) {
            expect([ours.has(name), ours.get(name)]).toEqual([plain.has(name), plain.get(name)]);
          }
        }
      }),
    );
  });
});
