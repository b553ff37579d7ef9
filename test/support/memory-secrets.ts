import type { Secrets } from '../../functions/ports/secrets.ts';
import { Problem } from '../../functions/runtime/errors.ts';

/** The Secrets port in memory, for tests of what stands on it. */
export function memorySecrets(): Secrets {
  const versions = new Map<string, string[]>();
  const found = (name: string) => versions.get(name) ?? [];
  return {
    write: async (name, value) => {
      versions.set(name, [...found(name), value]);
      return { version: String(found(name).length) };
    },
    read: async (name, version = String(found(name).length)) => {
      const value = found(name)[Number(version) - 1];
      if (value === undefined) throw new Problem('not-found', `There is no secret ${name}`);
      return { value, version };
    },
    findVersion: async (name) => (found(name).length > 0 ? String(found(name).length) : undefined),
    list: async (prefix) => [...versions.keys()].filter((name) => name.startsWith(prefix)),
    remove: async (name) => {
      versions.delete(name);
    },
    ready: async () => {},
  };
}
