import { tableInput, indexNames, type Item } from '../../functions/aws/record-requests.ts';
import type { DynamoCalls } from '../../functions/aws/records.ts';
import { openEmbeddedDynamo } from '../../local/embedded-dynamo.ts';

/** What is asked of DynamoDB, and what it would charge: request units of its on-demand mode. */
export type RecordUnits = { read: number; write: number };

/**
 * The embedded DynamoDB, with the units that AWS would count:
 * - a strongly consistent read one for each 4 KiB begun, at least one; half of that for a query of an index;
 * - a write one for each KiB begun of the larger of the item before and after, also when its condition fails;
 * - and the same again for each index that has the item: with all attributes projected each write of the item is one of
 *   the index, and one that changes its index key is a removal besides.
 *
 * https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
 * https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations.Writes
 */
export async function countedDynamo(options: {
  readonly tableName: string;
  readonly onCall: (operation: string, input: object) => void;
}) {
  const dynamo = await openEmbeddedDynamo({ folder: undefined, table: tableInput(options.tableName) });
  const units: RecordUnits = { read: 0, write: 0 };
  const items = new Map<string, Item>();
  const nameOf = (key: Item) => JSON.stringify([key['pk']?.S, key['sk']?.S]);

  /** A condition that fails is charged as a write of what is there. */
  async function write<T>(key: Item, after: Item | undefined, call: () => Promise<T>): Promise<T> {
    const before = items.get(nameOf(key));
    units.write += kibibytes(Math.max(sizeOf(before), sizeOf(after)), 1);
    const output = await call();
    units.write += indexUnits(before, after);
    if (after) items.set(nameOf(key), after);
    else items.delete(nameOf(key));
    return output;
  }

  const calls: DynamoCalls = {
    async getItem(input) {
      options.onCall('GetItem', input);
      const output = await dynamo.calls.getItem(input);
      units.read += kibibytes(sizeOf(output.Item), 4);
      return output;
    },
    async query(input) {
      options.onCall('Query', input);
      const output = await dynamo.calls.query(input);
      const bytes = (output.Items ?? []).reduce((sum, item) => sum + sizeOf(item), 0);
      units.read += kibibytes(bytes, 4) * (input.ConsistentRead ? 1 : 0.5);
      return output;
    },
    async putItem(input) {
      options.onCall('PutItem', input);
      const item = input.Item ?? {};
      return await write(item, item, async () => await dynamo.calls.putItem(input));
    },
    async deleteItem(input) {
      options.onCall('DeleteItem', input);
      return await write(input.Key ?? {}, undefined, async () => await dynamo.calls.deleteItem(input));
    },
  };
  /** The size of the largest item, in bytes. */
  const largest = () => Math.max(0, ...[...items.values()].map(sizeOf));
  return { calls, units, largest, close: dynamo.close };
}

function indexUnits(before: Item | undefined, after: Item | undefined): number {
  const keyIn = (item: Item | undefined, index: string) =>
    item?.[`${index}Pk`] && JSON.stringify([item[`${index}Pk`], item[`${index}Sk`]]);
  return indexNames
    .map((index) => {
      const [was, is] = [keyIn(before, index), keyIn(after, index)];
      if (was !== undefined && was === is) return kibibytes(Math.max(sizeOf(before), sizeOf(after)), 1);
      return (
        (was === undefined ? 0 : kibibytes(sizeOf(before), 1)) + (is === undefined ? 0 : kibibytes(sizeOf(after), 1))
      );
    })
    .reduce((sum, count) => sum + count, 0);
}

/** Names and values, in UTF-8. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html */
function sizeOf(item: Item | undefined): number {
  return Object.entries(item ?? {}).reduce(
    (sum, [name, { S: text, N: number }]) => sum + Buffer.byteLength(name) + Buffer.byteLength(text ?? number ?? ''),
    0,
  );
}

function kibibytes(bytes: number, each: number): number {
  return Math.max(1, Math.ceil(bytes / (each * 1024)));
}
