import {
  DeleteItemCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  type DynamoDBClientConfig,
} from '@aws-sdk/client-dynamodb';
import { Problem } from '../runtime/errors.ts';
import { answered, quickCalls } from './client.ts';
import type { DynamoCalls } from './records.ts';

/**
 * Makes the calls with the SDK. A store that is throttled or does not answer, repetitions included, is
 * `Problem('busy')`: whether a write was made is then unknown, and the caller reads before it tries again.
 */
export function sdkCalls(config: DynamoDBClientConfig = {}): DynamoCalls {
  return clientCalls(new DynamoDBClient({ ...quickCalls, ...config }));
}

/** The same with a client that is there already. */
export function clientCalls(client: DynamoDBClient): DynamoCalls {
  return {
    getItem: async (input) => await fitting(client.send(new GetItemCommand(input))),
    putItem: async (input) => await fitting(client.send(new PutItemCommand(input))),
    deleteItem: async (input) => await fitting(client.send(new DeleteItemCommand(input))),
    query: async (input) => await fitting(client.send(new QueryCommand(input))),
  };
}

async function fitting<Output>(call: Promise<Output>): Promise<Output> {
  try {
    return await answered('The store of records', call);
  } catch (cause) {
    // Counted here as DynamoDB does, but its count is the one that decides.
    const { name, message } = cause as { readonly name?: string; readonly message?: string };
    if (name === 'ValidationException' && /size has exceeded/i.test(message ?? '')) {
      throw new Problem('too-large', 'The record is larger than 400 KiB', { cause });
    }
    throw cause;
  }
}
