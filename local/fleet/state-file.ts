import { randomUUID } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TargetRef } from '../../functions/ports/fleet.ts';
import { makeFolders, writeDurably } from '../durable.ts';
import type { TargetState } from './target-state.ts';

/** The targets' states, a file each: `<folder>/<app>.<environment>.<target>.json`, 0600. */
export type StateFiles = {
  /** Writes the newest state given, one write at a time; resolves when it, or a newer one, is on the disk. */
  save(state: TargetState): Promise<void>;
  load(): Promise<readonly TargetState[]>;
  remove(state: TargetState): Promise<void>;
};

/** Names have no dots, so the key names a target without doubt. */
export function targetKey(target: { app: string; environment: string; target: string }): string {
  return `${target.app}.${target.environment}.${target.target}`;
}

export function keyOf(ref: Pick<TargetRef, 'app' | 'environment' | 'target'>): string {
  return targetKey({ ...ref, target: ref.target.name });
}

export function stateFiles(folder: string): StateFiles {
  const writes = new Map<
    string,
    { newest: TargetState; running: Promise<void> | undefined; next: Promise<void> | undefined }
  >();
  const path = (state: TargetState) => join(folder, `${targetKey(state)}.json`);
  const write = async (state: TargetState) => {
    await makeFolders(folder);
    const temporary = join(folder, `.${randomUUID()}`);
    await writeDurably(path(state), JSON.stringify(state), { mode: 0o600, temporary });
  };
  return {
    save: (state) => {
      const key = targetKey(state);
      const entry = writes.get(key) ?? { newest: state, running: undefined, next: undefined };
      writes.set(key, entry);
      entry.newest = state;
      // All that comes while a write runs is one write after it.
      entry.next ??= (async () => {
        await entry.running?.catch(() => {});
        entry.next = undefined;
        entry.running = write(entry.newest);
        return entry.running;
      })();
      return entry.next;
    },
    load: async () => {
      const names = await readdir(folder).catch(() => []);
      for (const name of names.filter((name) => name.startsWith('.'))) await rm(join(folder, name), { force: true });
      const files = names.filter((name) => name.endsWith('.json') && !name.startsWith('.')).sort();
      return Promise.all(
        files.map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8')) as TargetState),
      );
    },
    remove: async (state) => {
      const entry = writes.get(targetKey(state));
      await entry?.next?.catch(() => {});
      await entry?.running?.catch(() => {});
      await rm(path(state), { force: true });
    },
  };
}
