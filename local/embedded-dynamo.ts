import deleteItem from 'dynalite/actions/deleteItem.js';
import getItem from 'dynalite/actions/getItem.js';
import putItem from 'dynalite/actions/putItem.js';
import query from 'dynalite/actions/query.js';
import db from 'dynalite/db/index.js';
import type { Callback, Operation, Store, SubDb } from 'dynalite/db/index.js';
import validations from 'dynalite/validations/index.js';
import deleteItemValidation from 'dynalite/validations/deleteItem.js';
import getItemValidation from 'dynalite/validations/getItem.js';
import putItemValidation from 'dynalite/validations/putItem.js';
import queryValidation from 'dynalite/validations/query.js';
import type { TableInput } from '../functions/aws/record-requests.ts';
import type { DynamoCalls } from '../functions/aws/records.ts';
import { Problem } from '../functions/runtime/errors.ts';
import { groupCommit, type GroupCommit } from './group-commit.ts';

export type EmbeddedDynamo = { readonly calls: DynamoCalls; readonly close: () => Promise<void> };

/**
 * DynamoDB in this process: dynalite's own validation and actions on LevelDB, called as functions. Nothing listens,
 * so nobody else on the machine can read or write the records, and a call costs no HTTP. Besides:
 * - dynalite writes an item and its index entries one after the other, and a kill in between loses an entry; here
 *   they are one batch of LevelDB, all or nothing;
 * - a write is on the disk (fsync) before it is acknowledged (`groupCommit`);
 * - what its HTTP server would throw out of a callback, and so end the process (a full disk), rejects the call.
 *
 * `folder` undefined keeps everything in memory. Throws LevelDB's error when the folder cannot be opened.
 */
export async function openEmbeddedDynamo(options: {
  readonly folder: string | undefined;
  readonly table: TableInput;
}): Promise<EmbeddedDynamo> {
  const store = db.create({ createTableMs: 0, ...(options.folder === undefined ? {} : { path: options.folder }) });
  await store.db.open();
  const commits = groupCommit(store.db, options.folder);
  const running = new Set<Promise<unknown>>();

  async function attempt(operation: DynamoOperation, input: object): Promise<unknown> {
    await commits.available();
    const { action, validation } = operations[operation];
    const checked = validations.checkTypes(input, validation.types);
    validations.checkValidations(checked, validation.types, validation.custom, store);
    const view = requestStore(store, options.table, commits.commit);
    return await new Promise<unknown>((resolve, reject) => {
      action(view, checked, (error, result) => (error ? reject(error) : resolve(result)));
    });
  }

  /** Once more when the database was reopened in the middle: its answers then say nothing. */
  async function attempts(operation: DynamoOperation, input: object): Promise<unknown> {
    const before = commits.reopened();
    try {
      return await attempt(operation, input);
    } catch (error) {
      const { body } = error as { body?: unknown };
      if (body !== undefined || error instanceof Problem || commits.reopened() === before) throw error;
      return await attempt(operation, input);
    }
  }

  async function call<Output>(operation: DynamoOperation, input: object): Promise<Output> {
    const done = attempts(operation, input);
    running.add(done);
    try {
      return (await done) as Output;
    } finally {
      running.delete(done);
    }
  }
  const calls: DynamoCalls = {
    getItem: async (input) => await named(call('getItem', input)),
    putItem: async (input) => await named(call('putItem', input)),
    deleteItem: async (input) => await named(call('deleteItem', input)),
    query: async (input) => await named(call('query', input)),
  };
  return {
    calls,
    async close() {
      await Promise.allSettled(running);
      await store.db.close();
    },
  };
}

const operations = {
  getItem: { action: getItem, validation: getItemValidation },
  putItem: { action: putItem, validation: putItemValidation },
  deleteItem: { action: deleteItem, validation: deleteItemValidation },
  query: { action: query, validation: queryValidation },
};
type DynamoOperation = keyof typeof operations;

/** Errors as the SDK throws them: named by their type. */
async function named<Output>(answer: Promise<Output>): Promise<Output> {
  try {
    return await answer;
  } catch (error) {
    const { __type: type, message } = (error as { body?: { __type?: string; message?: string } }).body ?? {};
    if (type === undefined) throw error;
    const told = new Error(message ?? type, { cause: error });
    told.name = type.slice(type.indexOf('#') + 1);
    throw told;
  }
}

/**
 * What one request sees of the store: its table without a read, and sub-databases whose writes are kept until the
 * item's own, which dynalite makes last, and then committed together.
 */
function requestStore(store: Store, table: TableInput, commit: GroupCommit['commit']): Store {
  const pending: Operation[] = [];
  const collecting = (subDb: SubDb, prefix: string, written: (callback: Callback) => void): SubDb => ({
    get: subDb.get.bind(subDb),
    createValueStream: subDb.createValueStream.bind(subDb),
    lock: subDb.lock,
    put(key, value, callback) {
      pending.push({ type: 'put', key: prefix + key, value });
      written(callback);
    },
    del(key, callback) {
      pending.push({ type: 'del', key: prefix + key });
      written(callback);
    },
  });
  return {
    ...store,
    getTable: (_name, callback) => callback(null, table),
    getItemDb: (name) =>
      collecting(store.getItemDb(name), `item-${name}~`, (callback) => commit({ operations: pending, callback })),
    getIndexDb: (type, name, index) =>
      collecting(store.getIndexDb(type, name, index), `index-${type.toLowerCase()}~${name}~${index}~`, (callback) =>
        callback(null),
      ),
  };
}
