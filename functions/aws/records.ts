import { randomUUID } from 'node:crypto';
import type {
  DeleteItemCommandInput,
  GetItemCommandInput,
  PutItemCommandInput,
  QueryCommandInput,
} from '@aws-sdk/client-dynamodb';
import type { ListQuery, Page, RecordKey, Records, Stored, WriteOptions } from '../ports/records.ts';
import type { EpochMs } from '../runtime/units.ts';
import { decodeCursor, encodeCursor } from './record-cursor.ts';
import { checkItem, checkKey, checkQuery, jsonText } from './record-limits.ts';
import { createInput, deleteInput, getInput, putInput, queryInput, type Item, type Write } from './record-requests.ts';

/**
 * The calls that are made of DynamoDB; `sdkCalls` makes them of AWS, the local cloud of an embedded one.
 * A condition that does not hold is thrown as an error named `ConditionalCheckFailedException`.
 */
export type DynamoCalls = {
  getItem(input: GetItemCommandInput): Promise<{ Item?: Item | undefined }>;
  putItem(input: PutItemCommandInput): Promise<unknown>;
  deleteItem(input: DeleteItemCommandInput): Promise<unknown>;
  query(input: QueryCommandInput): Promise<{ Items?: Item[] | undefined; LastEvaluatedKey?: Item | undefined }>;
};

export type DynamoRecordsOptions = {
  readonly calls: DynamoCalls;
  readonly tableName: string;
  readonly clock?: () => EpochMs;
  /** Marks one write among all; never the same twice. */
  readonly newWriteId?: () => string;
};

/** A page ends when it holds this much text, whatever its limit: a Lambda's memory is small. */
const maxPageCharacters = 4 * 1024 * 1024;

/**
 * The Records port on one DynamoDB table (`tableInput`).
 *
 * A write whose answer is lost is repeated by the SDK, and the repeated one finds its own work in its way. So each
 * write carries an id, and when its condition fails the record is read again: our id there means that it was us.
 * What cannot be told apart: our write, its answer lost, and another's over it meanwhile. That is told as a conflict,
 * and who meets one reads again anyway.
 */
export function dynamoRecords(options: DynamoRecordsOptions): Records {
  const { calls, tableName, clock = Date.now, newWriteId = randomUUID } = options;
  /** The write that made what was read: two lives of one key have versions alike, but never this. */
  const writeIds = new WeakMap<object, string>();
  const nowSeconds = () => Math.floor(clock() / 1000);
  const isLive = (item: Item) => item['expiresAt'] === undefined || Number(item['expiresAt'].N) > nowSeconds();

  function stored<T>(item: Item): Stored<T> {
    const record = readItem<T>(item);
    writeIds.set(record, item['writeId']?.S ?? '');
    return record;
  }

  async function getLive(key: RecordKey): Promise<Item | undefined> {
    const { Item: item } = await calls.getItem(getInput(tableName, key));
    return item && isLive(item) ? item : undefined;
  }

  async function put<T>(write: Write, input: PutItemCommandInput): Promise<Stored<T> | undefined> {
    checkItem(input.Item ?? {});
    if ((await conditional(calls.putItem(input))) === 'held') return stored<T>(input.Item ?? {});
    const found = await getLive(write.key);
    return found?.['writeId']?.S === write.writeId ? stored<T>(found) : undefined;
  }

  function writeOf(at: { key: RecordKey; version: number }, value: unknown, options: WriteOptions): Write {
    checkKey(at.key, 'key');
    for (const [index, entry] of Object.entries(options.indexes ?? {})) checkKey(entry, `indexes.${index}`);
    return { ...at, value: jsonText(value), writeId: newWriteId(), ...options };
  }

  return {
    async find<T>(key: RecordKey) {
      checkKey(key, 'key');
      const item = await getLive(key);
      return item && stored<T>(item);
    },

    async create<T>(key: RecordKey, value: T, options: WriteOptions = {}) {
      const write = writeOf({ key, version: 1 }, value, options);
      return await put<T>(write, createInput(tableName, write, nowSeconds()));
    },

    async replace<T>(from: Stored<T>, value: T, options: WriteOptions = {}) {
      const write = writeOf({ key: from.key, version: from.version + 1 }, value, options);
      return await put<T>(write, putInput(tableName, write, { version: from.version, writeId: writeIds.get(from) }));
    },

    /** Repeated by the SDK and gone: by us, most likely, and gone is what was asked for; so it counts as removed. */
    async remove(from) {
      checkKey(from.key, 'key');
      const input = deleteInput(tableName, from.key, { version: from.version, writeId: writeIds.get(from) });
      const outcome = await conditional(calls.deleteItem(input));
      return outcome === 'held' || (outcome === 'failed after a repetition' && !(await getLive(from.key)));
    },

    async list<T>(query: ListQuery): Promise<Page<T>> {
      const limit = checkQuery(query);
      const items: Item[] = [];
      let start = query.after === undefined ? undefined : decodeCursor(query, query.after);
      let characters = 0;
      do {
        // One more than asked for tells whether another page follows.
        const page = await calls.query(queryInput(tableName, query, { limit: limit + 1 - items.length, start }));
        const live = (page.Items ?? []).filter(isLive);
        items.push(...live);
        characters += live.reduce((sum, item) => sum + (item['value']?.S?.length ?? 0), 0);
        start = page.LastEvaluatedKey;
      } while (start && items.length <= limit && characters < maxPageCharacters);
      const shown = items.slice(0, limit);
      const last = shown.at(-1);
      const more = start !== undefined || items.length > limit;
      return {
        items: shown.map((item) => stored<T>(item)),
        next: more && last ? encodeCursor(query, last) : undefined,
      };
    },

    async ready() {
      await calls.getItem(getInput(tableName, { partition: 'ready', sort: 'ready' }));
    },
  };
}

/** How the condition of a call turned out; every other error is thrown on. */
async function conditional(call: Promise<unknown>): Promise<'held' | 'failed' | 'failed after a repetition'> {
  try {
    await call;
    return 'held';
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'ConditionalCheckFailedException') throw error;
    const { $metadata } = error as { $metadata?: { attempts?: number } };
    return ($metadata?.attempts ?? 1) > 1 ? 'failed after a repetition' : 'failed';
  }
}

function readItem<T>(item: Item): Stored<T> {
  const { pk, sk, version, value } = item;
  if (pk?.S === undefined || sk?.S === undefined || version?.N === undefined || value?.S === undefined) {
    throw new Error('An item of the table is not a record of ours');
  }
  return { key: { partition: pk.S, sort: sk.S }, version: Number(version.N), value: JSON.parse(value.S) as T };
}
