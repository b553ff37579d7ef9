import { describe, expect, it } from 'vitest';
import {
  createInput,
  deleteInput,
  getInput,
  putInput,
  queryInput,
  tableInput,
  type Write,
} from '../../functions/aws/record-requests.ts';

const key = { partition: 'app/web', sort: 'app' };
const write: Write = {
  key,
  version: 3,
  value: '{"name":"web"}',
  writeId: 'w-1',
  indexes: { list: { partition: 'apps', sort: 'web' }, open: { partition: 'work', sort: '1' } },
  expiresAtSeconds: 1_800_000_000,
};
const item = {
  pk: { S: 'app/web' },
  sk: { S: 'app' },
  version: { N: '3' },
  value: { S: '{"name":"web"}' },
  writeId: { S: 'w-1' },
  expiresAt: { N: '1800000000' },
  listPk: { S: 'apps' },
  listSk: { S: 'web' },
  openPk: { S: 'work' },
  openSk: { S: '1' },
};

describe('what is asked of DynamoDB', () => {
  it('reads one record strongly consistent', () => {
    expect(getInput('t', key)).toEqual({
      TableName: 't',
      Key: { pk: { S: 'app/web' }, sk: { S: 'app' } },
      ConsistentRead: true,
    });
  });

  it('creates where nothing is or what is has expired', () => {
    expect(createInput('t', write, 1_700_000_000)).toEqual({
      TableName: 't',
      Item: item,
      ConditionExpression: 'attribute_not_exists(pk) OR expiresAt <= :now',
      ExpressionAttributeValues: { ':now': { N: '1700000000' } },
    });
  });

  it('writes over the version and the very write that was read', () => {
    expect(putInput('t', write, { version: 2, writeId: 'w-0' })).toEqual({
      TableName: 't',
      Item: item,
      ConditionExpression: 'version = :version AND writeId = :writeId',
      ExpressionAttributeValues: { ':version': { N: '2' }, ':writeId': { S: 'w-0' } },
    });
  });

  it('leaves out what a write does not have', () => {
    expect(putInput('t', { key, version: 3, value: '1', writeId: 'w-1' }, { version: 2 }).Item).toEqual({
      pk: { S: 'app/web' },
      sk: { S: 'app' },
      version: { N: '3' },
      value: { S: '1' },
      writeId: { S: 'w-1' },
    });
  });

  it('removes the version that was read', () => {
    expect(deleteInput('t', key, { version: 2 })).toEqual({
      TableName: 't',
      Key: { pk: { S: 'app/web' }, sk: { S: 'app' } },
      ConditionExpression: 'version = :version',
      ExpressionAttributeValues: { ':version': { N: '2' } },
    });
  });

  it('queries a partition strongly consistent', () => {
    expect(queryInput('t', { partition: 'p' }, { limit: 11 })).toEqual({
      TableName: 't',
      ConsistentRead: true,
      KeyConditionExpression: '#p = :p',
      ExpressionAttributeNames: { '#p': 'pk' },
      ExpressionAttributeValues: { ':p': { S: 'p' } },
      ScanIndexForward: true,
      Limit: 11,
    });
  });

  it('queries a prefix of an index backwards, from where the last page ended', () => {
    const start = { listPk: { S: 'p' }, listSk: { S: 'a/9' }, pk: { S: 'x' }, sk: { S: 'y' } };
    const query = { partition: 'p', index: 'list', prefix: 'a/', order: 'descending' } as const;
    expect(queryInput('t', query, { limit: 3, start })).toEqual({
      TableName: 't',
      IndexName: 'list',
      KeyConditionExpression: '#p = :p AND begins_with(#s, :s)',
      ExpressionAttributeNames: { '#p': 'listPk', '#s': 'listSk' },
      ExpressionAttributeValues: { ':p': { S: 'p' }, ':s': { S: 'a/' } },
      ScanIndexForward: false,
      Limit: 3,
      ExclusiveStartKey: start,
    });
  });

  it('makes one table paid by request, with an index a name and everything in it', () => {
    const text = (name: string) => ({ AttributeName: name, AttributeType: 'S' });
    const keys = (partition: string, sort: string) => [
      { AttributeName: partition, KeyType: 'HASH' },
      { AttributeName: sort, KeyType: 'RANGE' },
    ];
    const index = (name: string) => ({
      IndexName: name,
      KeySchema: keys(`${name}Pk`, `${name}Sk`),
      Projection: { ProjectionType: 'ALL' },
    });
    expect(tableInput('t')).toEqual({
      TableName: 't',
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: ['pk', 'sk', 'listPk', 'listSk', 'openPk', 'openSk', 'lookupPk', 'lookupSk'].map(text),
      KeySchema: keys('pk', 'sk'),
      GlobalSecondaryIndexes: ['list', 'open', 'lookup'].map(index),
    });
  });
});
