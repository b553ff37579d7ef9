import type {
  AttributeValue,
  CreateTableCommandInput,
  DeleteItemCommandInput,
  GetItemCommandInput,
  PutItemCommandInput,
  QueryCommandInput,
} from '@aws-sdk/client-dynamodb';
import type { IndexEntries, IndexName, ListQuery, RecordKey } from '../ports/records.ts';

/**
 * What is asked of DynamoDB, as pure values. One table; an item holds
 * `pk`, `sk`, `version`, `value` (JSON text), `writeId`, `expiresAt` (seconds since 1970), and for each index entry
 * `<index>Pk` and `<index>Sk`. The value is text and not a map: whatever JSON can say comes back exactly (numbers out
 * of DynamoDB's range, more than 32 levels, lone surrogates), and marshalling costs one call.
 */
export type Item = Record<string, AttributeValue>;
export type TableInput = CreateTableCommandInput;

export const indexNames = ['list', 'open', 'lookup'] as const satisfies readonly IndexName[];

/** The record as it is to be stored; `value` is JSON text. */
export type Write = {
  readonly key: RecordKey;
  readonly version: number;
  readonly value: string;
  readonly writeId: string;
  readonly indexes?: IndexEntries | undefined;
  readonly expiresAtSeconds?: number | undefined;
};

/** The state a write takes for granted: the version read and, where known, the very write that made it. */
export type Expected = { readonly version: number; readonly writeId?: string | undefined };

/** One strongly consistent read. */
export function getInput(tableName: string, key: RecordKey): GetItemCommandInput {
  return { TableName: tableName, Key: keyOf(key), ConsistentRead: true };
}

/** A write where nothing may be, or only what has expired and was not deleted yet: DynamoDB may take days to do so. */
export function createInput(tableName: string, write: Write, nowSeconds: number): PutItemCommandInput {
  return {
    TableName: tableName,
    Item: itemOf(write),
    ConditionExpression: 'attribute_not_exists(pk) OR expiresAt <= :now',
    ExpressionAttributeValues: { ':now': { N: String(nowSeconds) } },
  };
}

/** A write over the state that was read. */
export function putInput(tableName: string, write: Write, expected: Expected): PutItemCommandInput {
  return { TableName: tableName, Item: itemOf(write), ...unchangedSince(expected) };
}

/** The removal of the state that was read. */
export function deleteInput(tableName: string, key: RecordKey, expected: Expected): DeleteItemCommandInput {
  return { TableName: tableName, Key: keyOf(key), ...unchangedSince(expected) };
}

/** One page of a partition, or of an index's; a table's own is read strongly consistent, an index cannot be. */
export function queryInput(
  tableName: string,
  query: ListQuery,
  page: { readonly limit: number; readonly start?: Item | undefined },
): QueryCommandInput {
  const { partition, sort } = keyAttributes(query.index);
  const prefix = query.prefix ?? '';
  return {
    TableName: tableName,
    ...(query.index ? { IndexName: query.index } : { ConsistentRead: true }),
    KeyConditionExpression: prefix ? '#p = :p AND begins_with(#s, :s)' : '#p = :p',
    ExpressionAttributeNames: { '#p': partition, ...(prefix ? { '#s': sort } : {}) },
    ExpressionAttributeValues: { ':p': { S: query.partition }, ...(prefix ? { ':s': { S: prefix } } : {}) },
    ScanIndexForward: query.order !== 'descending',
    Limit: page.limit,
    ...(page.start ? { ExclusiveStartKey: page.start } : {}),
  };
}

/** The table: paid by request, its keys, and one index a name with everything projected. TTL is set apart, on `expiresAt`. */
export function tableInput(tableName: string): TableInput {
  const schemas = [undefined, ...indexNames].map((index) => keyAttributes(index));
  return {
    TableName: tableName,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: schemas.flatMap(({ partition, sort }) => [
      { AttributeName: partition, AttributeType: 'S' as const },
      { AttributeName: sort, AttributeType: 'S' as const },
    ]),
    KeySchema: keySchema(undefined),
    GlobalSecondaryIndexes: indexNames.map((index) => ({
      IndexName: index,
      KeySchema: keySchema(index),
      Projection: { ProjectionType: 'ALL' as const },
    })),
  };
}

/** The names of the attributes that hold the key of the table or of an index. */
export function keyAttributes(index: IndexName | undefined): { partition: string; sort: string } {
  return index ? { partition: `${index}Pk`, sort: `${index}Sk` } : { partition: 'pk', sort: 'sk' };
}

function keySchema(index: IndexName | undefined) {
  const { partition, sort } = keyAttributes(index);
  return [
    { AttributeName: partition, KeyType: 'HASH' as const },
    { AttributeName: sort, KeyType: 'RANGE' as const },
  ];
}

function keyOf(key: RecordKey): Item {
  return { pk: { S: key.partition }, sk: { S: key.sort } };
}

function itemOf(write: Write): Item {
  const item: Item = {
    ...keyOf(write.key),
    version: { N: String(write.version) },
    value: { S: write.value },
    writeId: { S: write.writeId },
  };
  if (write.expiresAtSeconds !== undefined) item['expiresAt'] = { N: String(write.expiresAtSeconds) };
  for (const index of indexNames) {
    const entry = write.indexes?.[index];
    if (!entry) continue;
    const { partition, sort } = keyAttributes(index);
    item[partition] = { S: entry.partition };
    item[sort] = { S: entry.sort };
  }
  return item;
}

/** The write's id beside the version: a record removed and made anew counts from 1 again. */
function unchangedSince(expected: Expected) {
  const values: Item = { ':version': { N: String(expected.version) } };
  if (expected.writeId !== undefined) values[':writeId'] = { S: expected.writeId };
  return {
    ConditionExpression:
      expected.writeId === undefined ? 'version = :version' : 'version = :version AND writeId = :writeId',
    ExpressionAttributeValues: values,
  };
}
