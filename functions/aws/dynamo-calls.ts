import {
  DeleteItemCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  type DynamoDBClientConfig,
} from '@aws-sdk/client-dynamodb';
import { Problem } from '../runtime/errors.ts';
import type { DynamoCalls } from './records.ts';

/**
 * Makes the calls with the SDK. A store that is throttled or does not answer, repetitions included, is
 * `Problem('busy')`: whether a write was made is then unknown, and the caller reads before it tries again.
 */
export function sdkCalls(config: DynamoDBClientConfig = {}): DynamoCalls {
  const client = new DynamoDBClient({ ...patience, ...config });
  return {
    getItem: async (input) => await answered(client.send(new GetItemCommand(input))),
    putItem: async (input) => await answered(client.send(new PutItemCommand(input))),
    deleteItem: async (input) => await answered(client.send(new DeleteItemCommand(input))),
    query: async (input) => await answered(client.send(new QueryCommand(input))),
  };
}

/**
 * DynamoDB answers in milliseconds or not at all, so a silent call is given up after 2 s and repeated; the SDK waits
 * longer before each repetition and knows what may be repeated. With 5 attempts a call ends within about 15 s, half of
 * what API Gateway grants. `throwOnRequestTimeout`: without it the SDK only warns of a call that takes too long.
 */
const patience = {
  maxAttempts: 5,
  retryMode: 'standard',
  requestHandler: { connectionTimeout: 1000, requestTimeout: 2000, throwOnRequestTimeout: true },
} satisfies DynamoDBClientConfig;

const unanswered = new Set([
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'ThrottlingException',
  'TimeoutError',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

type Failure = {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
};

async function answered<Output>(call: Promise<Output>): Promise<Output> {
  try {
    return await call;
  } catch (cause) {
    const { name, code, message, $metadata } = cause as Failure;
    if (unanswered.has(name ?? '') || unanswered.has(code ?? '') || ($metadata?.httpStatusCode ?? 0) >= 500) {
      throw new Problem('busy', 'The records do not answer right now; try again', { cause });
    }
    // Counted here as DynamoDB does, but its count is the one that decides.
    if (name === 'ValidationException' && /size has exceeded/i.test(message ?? '')) {
      throw new Problem('too-large', 'The record is larger than 400 KiB', { cause });
    }
    throw cause;
  }
}
