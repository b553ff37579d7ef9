import * as v from 'valibot';
import { nameSchema } from '../apps/schema.ts';
import { digestPattern, type Digest } from '../runtime/units.ts';
import { cursorText, idText, queryNumber } from './requests.ts';

/**
 * What callers of the builds service say. Bodies of flat-manager's calls may hold more than is known here: other clients,
 * and later ones, are taken as they are.
 */
const number = v.pipe(
  v.string('a number as the API gave it'),
  v.regex(/^[1-9]\d{0,9}$/, 'a number as the API gave it'),
  v.transform(Number),
  v.maxValue(2 ** 31 - 1, 'a number as the API gave it'),
);
const text = (max: number) => v.pipe(v.string('a string'), v.maxLength(max, `at most ${max} characters`));
const maybe = <const S extends v.GenericSchema>(schema: S) => v.nullish(schema);
const url = v.pipe(text(2048), v.regex(/^https?:\/\/[!-~]+$/, 'an http or https URL'));
const digest = v.pipe(
  v.string('sha256: and 64 lower-case hex digits'),
  v.regex(digestPattern, 'sha256: and 64 lower-case hex digits'),
  v.custom<Digest>((value) => typeof value === 'string' && digestPattern.test(value)),
);

export const buildPath = v.object({ id: number });
/** Also those that a deployment has built, by their ids. */
export const anyBuildPath = v.object({ id: idText });
export const refPath = v.object({ id: number, ref: number });
export const checkPath = v.object({ id: number, name: nameSchema });
export const jobPath = v.object({ id: number });
export const repoPath = v.object({ repo: nameSchema });

const states = ['uploading', 'committing', 'ready', 'failed', 'purging', 'purged', 'validating'] as const;
const published = ['unpublished', 'publishing', 'published', 'failed'] as const;
export const buildsQuery = v.strictObject(
  {
    'app-id': v.exactOptional(text(255)),
    repo: v.exactOptional(nameSchema),
    state: v.exactOptional(v.picklist(states, `one of ${states.join(', ')}`)),
    published: v.exactOptional(v.picklist(published, `one of ${published.join(', ')}`)),
    limit: v.exactOptional(queryNumber(1, 200)),
    cursor: v.exactOptional(cursorText),
  },
  'an object of the known fields',
);

export const newBuildBody = v.object({
  repo: text(255),
  'app-id': maybe(text(255)),
  'public-download': maybe(v.boolean('true or false')),
  'build-log-url': maybe(url),
});
export const newRefBody = v.object({
  ref: text(800),
  commit: v.pipe(v.string('64 lower-case hex digits'), v.regex(/^[0-9a-f]{64}$/, '64 lower-case hex digits')),
  'build-log-url': maybe(url),
  kind: v.exactOptional(v.picklist(['image', 'bundle', 'ostree'], 'image, bundle or ostree')),
});
export const extraIdsBody = v.object({
  ids: v.pipe(v.array(text(255), 'a list of ids'), v.maxLength(500, 'at most 500 ids')),
});
export const wantedBody = v.object({
  wanted: v.optional(v.array(v.string('a string'), 'a list of object names'), []),
});
export const uploadsBody = v.strictObject(
  {
    objects: v.pipe(
      v.array(
        v.strictObject(
          {
            name: text(300),
            sizeBytes: v.pipe(
              v.number('a whole number of bytes'),
              v.integer('a whole number of bytes'),
              v.minValue(0, 'a whole number of bytes'),
            ),
            digest: v.exactOptional(digest),
          },
          'an object of the known fields',
        ),
        'a list of objects',
      ),
      v.minLength(1, 'at least one object'),
      v.maxLength(100, 'at most 100 objects'),
    ),
  },
  'an object of the known fields',
);
export const commitBody = v.object({
  endoflife: maybe(text(1000)),
  endoflife_rebase: maybe(text(255)),
  token_type: maybe(v.pipe(v.number('a whole number'), v.integer('a whole number'))),
  'drop-strays': v.exactOptional(v.boolean('true or false')),
});
export const emptyBody = v.object({});
export const jobBody = v.object({
  'log-offset': maybe(
    v.pipe(v.number('a whole number'), v.integer('a whole number'), v.minValue(0, 'a whole number from 0 on')),
  ),
});
const checkStatuses = ['Pending', 'Passed', 'PassedWithWarnings', 'Failed', 'ReviewRequired'] as const;
export const reviewBody = v.object({
  'new-status': v.object(
    {
      status: v.picklist(checkStatuses, `one of ${checkStatuses.join(', ')}`),
      reason: maybe(text(2000)),
    },
    'an object with a status',
  ),
  'new-results': maybe(text(100_000)),
});
export const republishBody = v.object({
  app: text(255),
  endoflife: maybe(text(1000)),
  endoflife_rebase: maybe(text(255)),
});
export const pruneBody = v.object({
  repo: maybe(nameSchema),
  app: v.exactOptional(nameSchema),
  'dry-run': v.exactOptional(v.boolean('true or false')),
  'keep-hours': v.exactOptional(
    v.pipe(
      v.number('hours from 0 to 8760'),
      v.minValue(0, 'hours from 0 to 8760'),
      v.maxValue(8760, 'hours from 0 to 8760'),
    ),
  ),
});
export const promoteBody = v.strictObject({ artifact: v.exactOptional(digest) }, 'an object of the known fields');
