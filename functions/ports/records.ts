/** Where a record lives: all records of a partition can be listed in the order of their sort keys. */
export type RecordKey = { readonly partition: string; readonly sort: string };

/** A record as read: `version` counts its writes, and a later write names the version it replaces. */
export type Stored<T> = { readonly key: RecordKey; readonly version: number; readonly value: T };

/**
 * Places in which a record is found besides its key. `list` is for people (all deployments, newest first),
 * `open` holds what somebody still has to bring to an end and is left when that is done.
 */
export type IndexName = 'list' | 'open' | 'lookup';
export type IndexEntries = Partial<Record<IndexName, RecordKey>>;

export type WriteOptions = {
  /** The record's whole set of index entries after this write; left out: none. */
  readonly indexes?: IndexEntries;
  /** When the record may vanish by itself (seconds since 1970); reads may still see it for a while. */
  readonly expiresAtSeconds?: number;
};

export type ListQuery = {
  readonly partition: string;
  /** With an index: the partition and sort key are the index entry's; eventually consistent. */
  readonly index?: IndexName;
  readonly prefix?: string;
  /** The `next` of the page before. */
  readonly after?: string;
  /** 1..1000, default 100. */
  readonly limit?: number;
  readonly order?: 'ascending' | 'descending';
};
export type Page<T> = { readonly items: readonly Stored<T>[]; readonly next: string | undefined };

/**
 * State with conditional writes to single records; there are no transactions.
 * Every write is atomic and durable when its promise resolves.
 */
export interface Records {
  /** Reads one record, seeing every write acknowledged before. */
  find<T>(key: RecordKey): Promise<Stored<T> | undefined>;
  /** Writes a record that must not exist yet; undefined when it does. */
  create<T>(key: RecordKey, value: T, options?: WriteOptions): Promise<Stored<T> | undefined>;
  /** Writes over the version that was read; undefined when it has changed or gone since. */
  replace<T>(stored: Stored<T>, value: T, options?: WriteOptions): Promise<Stored<T> | undefined>;
  /** Removes the version that was read; false when it has changed or gone since. */
  remove(stored: Pick<Stored<unknown>, 'key' | 'version'>): Promise<boolean>;
  /** Lists a partition, or an index's, in the order of the sort keys. Throws `Problem('invalid')` for a cursor that is not ours. */
  list<T>(query: ListQuery): Promise<Page<T>>;
  /** Throws when the store cannot be reached. */
  ready(): Promise<void>;
}
