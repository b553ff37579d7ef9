import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import dynalite from 'dynalite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sdkCalls } from '../../functions/aws/dynamo-calls.ts';
import { tableInput } from '../../functions/aws/record-requests.ts';
import { dynamoRecords } from '../../functions/aws/records.ts';
import { recordsSuite } from './records-suite.ts';

const tableName = 'sluice';
const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };

async function startDynalite(): Promise<{ server: Server; endpoint: string }> {
  const server = dynalite({ createTableMs: 0 });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const endpoint = urlOf(server);
  const client = new DynamoDBClient({ endpoint, region: 'local', credentials });
  await client.send(new CreateTableCommand(tableInput(tableName)));
  client.destroy();
  return { server, endpoint };
}

function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

// The way of AWS: the SDK, its wire format and its answers, against dynalite as a server.
recordsSuite('DynamoDB over HTTP', async () => {
  const { server, endpoint } = await startDynalite();
  const calls = sdkCalls({ endpoint, region: 'local', credentials });
  return { port: dynamoRecords({ calls, tableName }), close: async () => await stop(server) };
});

describe('records over a network that loses answers', () => {
  let dynamo: { server: Server; endpoint: string };
  let proxy: Server;
  /** What becomes of the next calls, in order: made and its answer lost, failed, throttled, never answered; after them all goes well. */
  let fates: ('lost' | 'failing' | 'throttled' | 'silent')[] = [];

  beforeAll(async () => {
    dynamo = await startDynalite();
    proxy = createServer((request, response) => {
      void (async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of request) chunks.push(chunk as Buffer);
        const fate = fates.shift();
        if (fate === 'silent') return undefined;
        if (fate === 'failing') return response.writeHead(500).end();
        if (fate === 'throttled') {
          const type = 'com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException';
          return response
            .writeHead(400, { 'content-type': 'application/x-amz-json-1.0' })
            .end(JSON.stringify({ __type: type }));
        }
        const { host: _host, connection: _connection, ...headers } = request.headers;
        const answer = await fetch(dynamo.endpoint, {
          method: 'POST',
          body: Buffer.concat(chunks),
          headers: headers as Record<string, string>,
        });
        const body = Buffer.from(await answer.arrayBuffer());
        if (fate === 'lost') return request.socket.destroy();
        const type = answer.headers.get('content-type') ?? '';
        return response.writeHead(answer.status, { 'content-type': type }).end(body);
      })();
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', () => resolve()));
  });
  afterAll(async () => {
    await stop(proxy);
    await stop(dynamo.server);
  });

  const open = () =>
    dynamoRecords({ calls: sdkCalls({ endpoint: urlOf(proxy), region: 'local', credentials }), tableName });
  const newKey = () => ({ partition: crypto.randomUUID(), sort: 'one' });

  it('a create whose answer was lost is repeated and succeeds', async () => {
    const key = newKey();
    fates = ['lost', 'lost'];
    expect(await open().create(key, 'mine')).toEqual({ key, version: 1, value: 'mine' });
    expect(await open().find(key)).toEqual({ key, version: 1, value: 'mine' });
  });

  it('a replace whose answer was lost is repeated and made once', async () => {
    const records = open();
    const created = await records.create(newKey(), 'a');
    if (!created) throw new Error('taken');
    fates = ['lost'];
    expect(await records.replace(created, 'b')).toEqual({ key: created.key, version: 2, value: 'b' });
    expect(await records.find(created.key)).toMatchObject({ version: 2, value: 'b' });
  });

  it('a removal whose answer was lost is repeated and counts as ours', async () => {
    const records = open();
    const created = await records.create(newKey(), 'a');
    if (!created) throw new Error('taken');
    fates = ['lost'];
    expect(await records.remove(created)).toBe(true);
    expect(await records.remove(created)).toBe(false);
  });

  it('a write that lost against another is a conflict, however often it was repeated', async () => {
    const records = open();
    const key = newKey();
    const created = await records.create(key, 'theirs');
    fates = ['failing', 'throttled'];
    expect(await records.create(key, 'mine')).toBeUndefined();
    expect(await records.find(key)).toEqual(created);
  });

  it('a store that keeps failing is told as busy, after five attempts', async () => {
    const key = newKey();
    fates = Array.from({ length: 20 }, () => 'failing' as const);
    await expect(open().find(key)).rejects.toMatchObject({ name: 'Problem', kind: 'busy' });
    expect(fates).toHaveLength(15);
    fates = [];
    expect(await open().find(key)).toBeUndefined();
  });

  it('a store that throttles, or stays silent, is told as busy', async () => {
    for (const fate of ['throttled', 'silent'] as const) {
      fates = [fate];
      const calls = sdkCalls({ endpoint: urlOf(proxy), region: 'local', credentials, maxAttempts: 1 });
      const find = dynamoRecords({ calls, tableName }).find(newKey());
      await expect(find).rejects.toMatchObject({ name: 'Problem', kind: 'busy' });
      expect(fates).toEqual([]);
    }
  }, 20_000);

  it('a store that is not there is told as busy', async () => {
    const calls = sdkCalls({ endpoint: 'http://127.0.0.1:1', region: 'local', credentials });
    await expect(dynamoRecords({ calls, tableName }).ready()).rejects.toMatchObject({ kind: 'busy' });
  });

  it('a table that is not there is no Problem of the caller', async () => {
    const calls = sdkCalls({ endpoint: dynamo.endpoint, region: 'local', credentials });
    const ready = dynamoRecords({ calls, tableName: 'another' }).ready();
    await expect(ready).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });
});
