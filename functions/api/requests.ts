import * as v from 'valibot';
import { nameSchema, secretNameSchema } from '../apps/schema.ts';
import { refIssue, webUrlIssue } from '../apps/names.ts';
import { imageReferenceIssue } from '../artifacts/image-reference.ts';
import { statuses } from '../deployments/state.ts';
import { digestPattern, type Digest } from '../runtime/units.ts';
import { named } from './describe.ts';

/** What callers say: paths, queries and bodies. Every message says what was expected. */
const text = (pattern: RegExp, expected: string) => v.pipe(v.string('a string'), v.regex(pattern, expected));
const without = (issueOf: (text: string) => string | undefined) =>
  v.pipe(
    v.string('a string'),
    v.check(
      (text) => issueOf(text) === undefined,
      (issue) => issueOf(issue.input) ?? 'another value',
    ),
  );
export const idText = text(/^[A-Za-z0-9][\w.-]{0,127}$/, 'an id as the API gave it');
/** A number of a query, where everything is text. */
export const queryNumber = (min: number, max: number) => {
  const expected = `a whole number from ${min} to ${max}`;
  return v.pipe(
    text(/^\d{1,9}$/, expected),
    v.transform(Number),
    v.number(),
    v.integer(),
    v.minValue(min, expected),
    v.maxValue(max, expected),
  );
};
export const cursorText = text(/^[\x21-\x7e]{1,2000}$/, 'a cursor as the API gave it');
const object = <const E extends v.ObjectEntries>(entries: E) =>
  v.strictObject(entries, 'an object of the known fields');

export const appPath = v.object({ app: nameSchema });
export const secretPath = v.object({ app: nameSchema, name: secretNameSchema });
export const environmentPath = v.object({ app: nameSchema, environment: nameSchema });
export const idPath = v.object({ id: idText });

const paging = { limit: v.exactOptional(queryNumber(1, 200)), cursor: v.exactOptional(cursorText) };
const following = { wait: v.exactOptional(queryNumber(0, 20)) };

export const noQuery = object({});
export const pageQuery = object(paging);
export const removeQuery = object({ force: v.exactOptional(v.picklist(['true', 'false'], 'true or false')) });
export const deploymentsQuery = object({
  ...paging,
  app: v.exactOptional(nameSchema),
  environment: v.exactOptional(nameSchema),
  status: v.exactOptional(v.picklist(statuses, `one of ${statuses.join(', ')}`)),
});
export const eventsQuery = object({ ...following, after: v.exactOptional(queryNumber(0, 999_999_999)) });
export const logsQuery = object({ ...following, after: v.exactOptional(cursorText) });
export const targetLogsQuery = object({ ...following, after: v.exactOptional(cursorText), target: nameSchema });

export const secretBody = named('SecretInput', object({ value: v.string('a string') }), [
  { value: 'postgres://web:password@database.internal/web' },
]);

const kinds = ['source', 'image', 'artifact', 'fetch'] as const;
const digest = v.custom<Digest>((value) => typeof value === 'string' && digestPattern.test(value));
export const deploymentBody = named(
  'DeploymentInput',
  v.pipe(
    object({
      app: nameSchema,
      environment: nameSchema,
      /** Without a ref: the app's own. */
      source: v.exactOptional(object({ ref: v.exactOptional(without(refIssue)) })),
      image: v.exactOptional(without(imageReferenceIssue)),
      artifact: v.exactOptional(v.pipe(text(digestPattern, 'sha256: and 64 lower-case hex digits'), digest)),
      fetch: v.exactOptional(
        object({
          url: without(webUrlIssue),
          sha256: v.pipe(text(/^[0-9a-f]{64}$/i, '64 hex digits'), v.toLowerCase()),
        }),
      ),
    }),
    v.check(
      (body) => kinds.filter((kind) => body[kind] !== undefined).length === 1,
      `exactly one of ${kinds.join(', ')}`,
    ),
    v.description(`Exactly one of ${kinds.join(', ')}.`),
  ),
  [
    { app: 'web', environment: 'dev', source: { ref: 'main' } },
    { app: 'web', environment: 'dev', image: 'ghcr.io/acme/web:1.4.2' },
    { app: 'web', environment: 'stable', artifact: `sha256:${'5'.repeat(64)}` },
    { app: 'web', environment: 'dev', fetch: { url: 'https://example.com/web.tgz', sha256: '5'.repeat(64) } },
  ],
);

export const rollbackBody = named('RollbackInput', object({ to: v.exactOptional(idText) }), [
  {},
  { to: '019a9f3e-4b7c-7d11-9a53-3a5e0d6c2b10' },
]);

const count = 'a whole number from 0 to 1000';
export const scaleBody = named(
  'ScaleInput',
  object({
    target: nameSchema,
    desiredCount: v.pipe(v.number(count), v.integer(count), v.minValue(0, count), v.maxValue(1000, count)),
  }),
  [{ target: 'web', desiredCount: 3 }],
);

export type DeploymentBody = v.InferOutput<typeof deploymentBody>;
