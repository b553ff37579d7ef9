import type { ListQuery } from '../ports/records.ts';
import { Problem } from '../runtime/errors.ts';
import { keyAttributes, type Item } from './record-requests.ts';

/**
 * A cursor names the last item of a page: base64url of a JSON list of
 * index (or ''), partition, sort key, and for an index the item's own partition and sort key.
 * It is taken only by a query of the same index, partition and prefix: it cannot lead into another partition.
 */
export function encodeCursor(query: ListQuery, item: Item): string {
  const { partition, sort } = keyAttributes(query.index);
  const own = query.index ? [item['pk']?.S, item['sk']?.S] : [];
  const parts = [query.index ?? '', item[partition]?.S, item[sort]?.S, ...own];
  return Buffer.from(JSON.stringify(parts)).toString('base64url');
}

/** The key after which a query goes on; throws `Problem('invalid')` for a cursor that no page of this query ended with. */
export function decodeCursor(query: ListQuery, cursor: string): Item {
  const parts = parse(cursor);
  const [index, partition, sort, pk, sk] = parts;
  const fits =
    parts.length === (query.index ? 5 : 3) &&
    index === (query.index ?? '') &&
    partition === query.partition &&
    sort?.startsWith(query.prefix ?? '') === true &&
    parts.slice(1).every((part) => part.length > 0 && part.isWellFormed() && Buffer.byteLength(part) <= 2048);
  if (!fits || Buffer.byteLength(sort) > 1024 || Buffer.byteLength(sk ?? '') > 1024) throw notOurs();
  const names = keyAttributes(query.index);
  const start: Item = { [names.partition]: { S: partition }, [names.sort]: { S: sort } };
  return pk !== undefined && sk !== undefined ? { ...start, pk: { S: pk }, sk: { S: sk } } : start;
}

function parse(cursor: string): readonly string[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (Array.isArray(parts) && parts.every((part) => typeof part === 'string')) return parts;
  } catch {
    // Not JSON: the same answer as for a list of something else.
  }
  throw notOurs();
}

function notOurs(): Problem {
  const expected = 'the next of the page before, of the same list';
  return new Problem('invalid', `after: expected ${expected}`, { issues: [{ field: 'after', expected }] });
}
