import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Callback, Level, Operation } from 'dynalite/db/index.js';
import { Problem } from '../functions/runtime/errors.ts';

export type Write = { readonly operations: readonly Operation[]; readonly callback: Callback };
export type GroupCommit = {
  /** Commits a write whole and durably, and calls back. */
  readonly commit: (write: Write) => void;
  /** Resolves when the database is not being reopened. */
  readonly available: () => Promise<void>;
  /** How often it was reopened: who was at work meanwhile may have to begin again. */
  readonly reopened: () => number;
};

/**
 * Commits writes to LevelDB, synced to the disk; those that arrive while a commit runs share the next one.
 *
 * LevelDB must not be written to after a write of it failed: a part of it may lie in its log, and what is appended
 * behind that is acknowledged and yet dropped at the next start (tried on a full disk: 300 of 300 were lost). So from
 * then on every write is refused until the disk has room again; then the database is reopened, which mends its log.
 * Reads go on. `folder` undefined: in memory, where nothing fails.
 */
export function groupCommit(level: Level, folder: string | undefined): GroupCommit {
  // dynalite replaces the database's own methods by ones that take callbacks and no options.
  const original = Object.getPrototypeOf(level) as Pick<Level, 'batch' | 'open' | 'close'>;
  let waiting: Write[] = [];
  let committing = false;
  let broken = false;
  let reopening: Promise<void> | undefined;
  let reopened = 0;

  async function reopen(): Promise<void> {
    await original.close.call(level);
    await original.open.call(level);
  }

  async function mend(): Promise<void> {
    if (folder !== undefined) await findRoom(folder);
    reopened += 1;
    reopening = reopen();
    try {
      await reopening;
      broken = false;
    } finally {
      reopening = undefined;
    }
  }

  async function commitGroup(group: readonly Write[]): Promise<Problem | null> {
    try {
      if (broken) await mend();
      const operations = group.flatMap((write) => write.operations);
      await original.batch.call(level, operations, { sync: true });
      return null;
    } catch (cause) {
      broken = folder !== undefined;
      return new Problem('busy', 'The records cannot be written: their disk is full or fails', { cause });
    }
  }

  async function run(): Promise<void> {
    committing = true;
    while (waiting.length > 0) {
      const group = waiting;
      waiting = [];
      const problem = await commitGroup(group);
      for (const { callback } of group) callback(problem);
    }
    committing = false;
  }

  return {
    commit(write) {
      waiting.push(write);
      if (!committing) void run();
    },
    // A failed reopening is told to the write that asked for it.
    available: async () => await reopening?.catch(() => {}),
    reopened: () => reopened,
  };
}

/** Reopening writes what the log holds (LevelDB's write buffer is 4 MiB); begun without room, it would leave nothing open. */
const roomBytes = 8 * 1024 * 1024;

/** Throws when the disk does not take so many bytes. */
async function findRoom(folder: string): Promise<void> {
  const path = join(folder, 'room.tmp');
  try {
    const file = await open(path, 'w', 0o600);
    try {
      await file.writeFile(Buffer.alloc(roomBytes, 1));
      await file.sync();
    } finally {
      await file.close();
    }
  } finally {
    await rm(path, { force: true });
  }
}
