import { Problem } from '../runtime/errors.ts';
import type { IndexEntries, RecordKey, Records, Stored, WriteOptions } from './records.ts';

/**
 * How an entity lies in the records. Its owner says it once, and every write sets the index entries and the end of
 * life that follow from the value: they cannot be forgotten.
 */
export type Shape<T> = {
  /** What it is called when it is not found: `deployment`. */
  readonly what: string;
  readonly indexesOf?: (value: T) => IndexEntries;
  /** Seconds since 1970; undefined: it stays. */
  readonly expiresAtSecondsOf?: (value: T) => number | undefined;
};

export type Update<T> = {
  readonly key: RecordKey;
  /** Names it in the error when it is not there: an id, never a secret. Default: the sort key. */
  readonly id?: string;
  /**
   * The value after, or undefined to leave it as it is. Called again with the newer value whenever somebody else
   * wrote in between, so it must do nothing but answer. What it throws ends the update.
   */
  readonly change: (value: T) => T | undefined;
};

/** So many lost races in a row mean that something is wrong; each is one read and one write. */
const maxAttempts = 100;

/** The options that every write of an entity's value takes. */
export function writeOptionsOf<T>(shape: Shape<T>, value: T): WriteOptions {
  const indexes = shape.indexesOf?.(value);
  const expiresAtSeconds = shape.expiresAtSecondsOf?.(value);
  return { ...(indexes ? { indexes } : {}), ...(expiresAtSeconds === undefined ? {} : { expiresAtSeconds }) };
}

/** Creates an entity's record with the index entries of its shape; undefined when the key is taken. */
export async function createRecord<T>(
  records: Records,
  shape: Shape<T>,
  record: { readonly key: RecordKey; readonly value: T },
): Promise<Stored<T> | undefined> {
  return await records.create(record.key, record.value, writeOptionsOf(shape, record.value));
}

/** Reads an entity; throws `Problem('not-found')` naming what was looked for. */
export async function getRecord<T>(
  records: Records,
  shape: { readonly what: string },
  at: { readonly key: RecordKey; readonly id?: string },
): Promise<Stored<T>> {
  const found = await records.find<T>(at.key);
  if (!found) throw new Problem('not-found', `There is no ${shape.what} ${at.id ?? at.key.sort}`);
  return found;
}

/**
 * Reads, changes and replaces until nobody wrote in between; answers with the record after, or as it is when
 * `change` said undefined. Throws `Problem('not-found')`, and `Problem('busy')` after 100 attempts.
 *
 * ```ts
 * const lanes: Shape<Lane> = { what: 'lane', indexesOf: (lane) => (lane.active ? { open: … } : {}) };
 * await updateRecord(records, lanes, { key, change: (lane) => ({ ...lane, active: id }) });
 * ```
 */
export async function updateRecord<T>(records: Records, shape: Shape<T>, update: Update<T>): Promise<Stored<T>> {
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const found = await getRecord<T>(records, shape, update);
    const value = update.change(found.value);
    if (value === undefined) return found;
    const replaced = await records.replace(found, value, writeOptionsOf(shape, value));
    if (replaced) return replaced;
  }
  throw new Problem('busy', `The ${shape.what} ${update.id ?? update.key.sort} is being changed too often; try again`);
}
