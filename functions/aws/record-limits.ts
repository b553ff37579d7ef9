import type { ListQuery, RecordKey } from '../ports/records.ts';
import { Problem } from '../runtime/errors.ts';
import type { Item } from './record-requests.ts';

/**
 * DynamoDB's limits, checked before a call is made: its own answers name no field of ours.
 * https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
 */
const maxPartitionBytes = 2048;
const maxSortBytes = 1024;
const maxItemBytes = 400 * 1024;

/** Throws `Problem('invalid')` for a key that DynamoDB cannot hold. */
export function checkKey(key: RecordKey, field: string): void {
  checkText(key.partition, `${field}.partition`, maxPartitionBytes);
  checkText(key.sort, `${field}.sort`, maxSortBytes);
}

/** Throws `Problem('invalid')` for a query that cannot be; answers with its limit. */
export function checkQuery(query: ListQuery): number {
  const limit = query.limit ?? 100;
  checkText(query.partition, 'partition', maxPartitionBytes);
  if (query.prefix) checkText(query.prefix, 'prefix', maxSortBytes);
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) throw invalid('limit', 'a whole number from 1 to 1000');
  return limit;
}

/** Throws `Problem('too-large')` past 400 KiB, counted as DynamoDB does: the bytes of names and values. */
export function checkItem(item: Item): void {
  const bytes = Object.entries(item).reduce(
    (sum, [name, { S: text, N: number }]) => sum + name.length + Buffer.byteLength(text ?? number ?? ''),
    0,
  );
  if (bytes > maxItemBytes) throw new Problem('too-large', `A record holds at most ${maxItemBytes} bytes`);
}

/** A value as JSON; undefined members are gone, as everywhere in JSON. */
export function jsonText(value: unknown): string {
  const text: string | undefined = JSON.stringify(value);
  if (text === undefined) throw new TypeError('A record cannot hold undefined or a function');
  return text;
}

/** Text that is not well-formed UTF-16 would come back changed. */
function checkText(text: string, field: string, maxBytes: number): void {
  if (text.length === 0 || !text.isWellFormed() || Buffer.byteLength(text) > maxBytes) {
    throw invalid(field, `1 to ${maxBytes} bytes of well-formed text`);
  }
}

function invalid(field: string, expected: string): Problem {
  return new Problem('invalid', `${field}: expected ${expected}`, { issues: [{ field, expected }] });
}
