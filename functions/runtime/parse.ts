import * as v from 'valibot';
import { Problem, type Issue } from './errors.ts';
import { nearest } from './nearest.ts';

type Schema = v.GenericSchema<unknown, unknown>;

const mostIssues = 50;

/**
 * Parses input from outside, whole: `what` names it for people ("app", "push").
 * Throws `Problem('invalid')` with every wrong field (at most 50), its path and what was expected there, never the
 * value: valibot's own messages quote it, and it may be a secret in the wrong field.
 */
export function parseInput<const S extends Schema>(schema: S, input: unknown, what: string): v.InferOutput<S> {
  const result = v.safeParse(schema, input, { message: (issue) => issue.expected ?? 'another value' });
  if (result.success) return result.output;
  throw invalid(
    what,
    result.issues.flatMap((issue) => describe(schema, issue)),
  );
}

/** The problem of an input that is wrong in these fields. */
export function invalid(what: string, issues: readonly Issue[]): Problem {
  const first = issues[0];
  const detail = first ? `: ${first.field}: ${first.expected}` : '';
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
  return new Problem('invalid', `The ${what} is not valid${detail}${more}.`, { issues: issues.slice(0, mostIssues) });
}

/** The path of a field as people write it: `environments[0].targets[1].listenPort`. */
export function fieldPath(keys: readonly unknown[]): string {
  const path = keys.map((key, index) => {
    if (typeof key === 'number') return `[${key}]`;
    const name = String(key);
    if (!/^[A-Za-z_][A-Za-z0-9_-]{0,63}$/.test(name)) return `[${JSON.stringify(cut(name))}]`;
    return index === 0 ? name : `.${name}`;
  });
  return path.join('') || '(whole)';
}

function describe(schema: Schema, issue: v.BaseIssue<unknown>): readonly Issue[] {
  const path = (issue.path ?? []).map((item) => item.key);
  if (issue.type !== 'strict_object') return [{ field: fieldPath(path), expected: issue.message }];
  // A strict object has one message for three things: no object at all, a field missing, a field too many.
  if (issue.expected === 'Object') return [{ field: fieldPath(path), expected: 'an object' }];
  const holder = issue.path?.at(-1)?.input;
  const entries = entriesOf(schemaAt(schema, issue.path?.slice(0, -1) ?? []), holder) ?? {};
  if (issue.expected !== 'never') {
    return [{ field: fieldPath(path), expected: expectedBy(entries[String(path.at(-1))]) ?? 'a value' }];
  }
  // valibot names only the first field too many.
  return Object.keys(holder as object)
    .filter((key) => !Object.hasOwn(entries, key))
    .map((key) => ({
      field: fieldPath([...path.slice(0, -1), key]),
      expected: noSuchField(key, Object.keys(entries)),
    }));
}

function noSuchField(key: string, known: readonly string[]): string {
  const meant = nearest(key, known);
  if (meant) return `no such field; did you mean "${meant}"?`;
  return known.length > 0 ? `no such field; the fields here are ${known.join(', ')}` : 'no such field';
}

/** The words a schema has for what it expects. */
function expectedBy(schema: unknown): string | undefined {
  if (!isSchema(schema)) return undefined;
  const [first, second] = 'pipe' in schema && Array.isArray(schema.pipe) ? schema.pipe : [schema];
  const message = readMessage(first);
  // "a string" says less than the check behind it.
  return message === 'a string' ? (readMessage(second) ?? message) : (message ?? schema.expects);
}

function readMessage(part: unknown): string | undefined {
  if (typeof part !== 'object' || part === null || !('message' in part)) return undefined;
  return typeof part.message === 'string' ? part.message : undefined;
}

/** The schema that stands at a path of an input; undefined where it cannot be told. */
function schemaAt(root: Schema, path: readonly v.IssuePathItem[]): unknown {
  let schema: unknown = root;
  for (const item of path) {
    const inner = unwrap(schema);
    if (inner === undefined) return undefined;
    if ('item' in inner) schema = inner['item'];
    else if (inner['type'] === 'record') schema = inner['value'];
    else schema = entriesOf(inner, item.input)?.[String(item.key)];
  }
  return schema;
}

function entriesOf(schema: unknown, input: unknown): Readonly<Record<string, unknown>> | undefined {
  const inner = unwrap(schema);
  if (inner && isRecord(inner['entries'])) return inner['entries'];
  const { key, options } = inner ?? {};
  if (typeof key !== 'string' || !Array.isArray(options) || !isRecord(input)) return undefined;
  const option = options.find((option) => {
    const tag = entriesOf(option, input)?.[key];
    return isRecord(tag) && tag['literal'] === input[key];
  });
  return option && entriesOf(option, input);
}

function unwrap(schema: unknown): Record<string, unknown> | undefined {
  if (!isRecord(schema)) return undefined;
  return 'wrapped' in schema ? unwrap(schema['wrapped']) : schema;
}

function isSchema(value: unknown): value is Schema {
  return isRecord(value) && value['kind'] === 'schema';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function cut(text: string): string {
  return text.length > 64 ? `${text.slice(0, 63)}…` : text;
}
