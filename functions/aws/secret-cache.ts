import type { EpochMs } from '../runtime/units.ts';

/** How old a current version that is answered may be: a rotated secret is in use everywhere after this. */
export const currentForMs = 60_000;
/** A version that was named never changes; but one that was removed is to be forgotten, too. */
export const versionForMs = 15 * 60_000;
/** At most so many values are kept, of at most 64 KiB each. */
const mostValues = 100;

export type CachedSecret = { readonly value: string; readonly version: string };
export type SecretCache = {
  get(name: string, version: string | undefined): CachedSecret | undefined;
  set(name: string, version: string | undefined, secret: CachedSecret): void;
  /** From now on nothing of a secret is known here. */
  forget(name: string): void;
};

/** Values that were read, in this process's memory alone; what is not there is never remembered. */
export function secretCache(clock: () => EpochMs): SecretCache {
  const entries = new Map<string, { readonly name: string; readonly until: EpochMs; readonly secret: CachedSecret }>();
  // A name holds no blank.
  const keyOf = (name: string, version: string | undefined) => `${name} ${version ?? ''}`;
  return {
    get(name, version) {
      const entry = entries.get(keyOf(name, version));
      return entry && clock() < entry.until ? entry.secret : undefined;
    },
    set(name, version, secret) {
      const key = keyOf(name, version);
      entries.delete(key);
      const [oldest] = entries.keys();
      if (oldest !== undefined && entries.size >= mostValues) entries.delete(oldest);
      entries.set(key, { name, until: clock() + (version === undefined ? currentForMs : versionForMs), secret });
    },
    forget(name) {
      for (const [key, entry] of entries) if (entry.name === name) entries.delete(key);
    },
  };
}
