import * as v from 'valibot';
import { mostEntries, scopes } from '../access/claims.ts';
import { auditResults } from '../access/audit.ts';
import { nameSchema } from '../apps/schema.ts';
import { named } from './describe.ts';
import { pageQuery } from './requests.ts';

/** What callers say about tokens, and what they are told; flat-manager's names where it has some. */
const object = <const E extends v.ObjectEntries>(entries: E) =>
  v.strictObject(entries, 'an object of the known fields');
const word = (pattern: RegExp, expected: string) => v.pipe(v.string('a string'), v.regex(pattern, expected));
const time = v.pipe(v.string(), v.isoTimestamp());

/** It is shown in terminals and logs: no control characters, no line ends, no lone surrogates. */
const name = word(/^[^\p{C}\u2028\u2029]{1,100}$/u, '1 to 100 characters of one line');
/** Of ASCII and without blanks: names of things of ours, and of tools outside. */
const part = (min: number, max: number) =>
  word(new RegExp(`^[\\x21-\\x7e]{${min},${max}}$`), `${min} to ${max} printable ASCII characters without blanks`);
const names = (entry: v.GenericSchema<string>, most = mostEntries) =>
  v.pipe(v.array(entry, 'a list of strings'), v.maxLength(most, `at most ${most} entries`));
/** A list that is left out, null or empty is the parent's: never all. */
const narrowing = (entry: v.GenericSchema<string>) => v.exactOptional(v.nullable(names(entry)));
const tenYears = 10 * 366 * 24 * 60 * 60;
const seconds = `a whole number of seconds from 1 to ${tenYears}`;

export const tokenBody = named(
  'TokenInput',
  object({
    name,
    /** `build`, `build/7`, `app/web`, `app/web/dev`, or empty: all. */
    sub: v.exactOptional(v.nullable(part(0, 255))),
    scope: narrowing(part(1, 64)),
    duration: v.pipe(v.number(seconds), v.integer(seconds), v.minValue(1, seconds), v.maxValue(tenYears, seconds)),
    prefixes: narrowing(part(0, 255)),
    apps: narrowing(part(1, 255)),
    repos: narrowing(part(0, 64)),
    environments: narrowing(part(0, 64)),
    branches: narrowing(part(0, 255)),
  }),
  [
    {
      name: 'ci',
      sub: 'build',
      scope: ['build', 'upload', 'publish', 'jobs'],
      duration: 86_400,
      apps: ['web'],
      repos: ['dev'],
    },
    { name: 'minimal-upload', sub: 'build/7', scope: ['upload'], duration: 3600 },
  ],
);

export const tokenIdsBody = named('TokenIds', object({ token_ids: names(part(1, 128), 1000) }), [
  { token_ids: ['019a9f3e-4b7c-7d11-9a53-3a5e0d6c2b10'] },
]);

export const exchangeBody = named(
  'TokenExchangeInput',
  object({
    grant_type: v.literal(
      'urn:ietf:params:oauth:grant-type:token-exchange',
      'urn:ietf:params:oauth:grant-type:token-exchange',
    ),
    subject_token: word(/^[\x21-\x7e]{1,16384}$/, 'a JWT'),
    subject_token_type: v.literal('urn:ietf:params:oauth:token-type:jwt', 'urn:ietf:params:oauth:token-type:jwt'),
    /** For whom the new token is; whatever it says, that is this control plane. */
    audience: v.exactOptional(part(1, 255)),
    app: nameSchema,
  }),
  [
    {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: 'eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2lnbmF0dXJl',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      app: 'web',
    },
  ],
);

const moment = v.pipe(
  v.string('a string'),
  v.isoTimestamp('a time as 2026-11-30T12:00:00Z'),
  v.transform((text) => Date.parse(text)),
  v.number('a time as 2026-11-30T12:00:00Z'),
);
export const auditQuery = object({
  ...pageQuery.entries,
  app: v.exactOptional(nameSchema),
  actor: v.exactOptional(word(/^.{1,1000}$/u, 'the name of a token')),
  action: v.exactOptional(word(/^[\w /:*-]{1,200}$/, 'the id of an operation')),
  result: v.exactOptional(v.picklist(auditResults, `one of ${auditResults.join(', ')}`)),
  after: v.exactOptional(moment),
  before: v.exactOptional(moment),
});

export const mintedShape = v.object({
  /** Shown this once. */
  token: v.string(),
  id: v.string(),
  name: v.string(),
  expires: time,
});

/** As flat-manager tells of a token: times in UTC, without a zone. */
export const tokenRowShape = v.object({
  token_id: v.string(),
  name: v.string(),
  expires: v.string(),
  last_used: v.nullable(v.string()),
  revoked_at: v.nullable(v.string()),
});
export const tokenRowsShape = v.array(tokenRowShape);

export const tokenShape = v.object({
  id: v.string(),
  name: v.string(),
  sub: v.string(),
  scope: v.array(v.union([v.picklist(scopes), v.string()])),
  prefixes: v.array(v.string()),
  apps: v.array(v.string()),
  repos: v.array(v.string()),
  environments: v.array(v.string()),
  branches: v.array(v.string()),
  /** The ids of the tokens above it: revoking one of them ends it, too. */
  parents: v.array(v.string()),
  createdAt: time,
  createdBy: v.string(),
  expiresAt: time,
  /** To the minute. */
  lastUsedAt: v.nullable(time),
  revokedAt: v.nullable(time),
  revokedBy: v.nullable(v.string()),
});
export const tokenListShape = v.object({ items: v.array(tokenShape), next: v.nullable(v.string()) });

export const exchangedShape = v.object({
  access_token: v.string(),
  issued_token_type: v.literal('urn:ietf:params:oauth:token-type:jwt'),
  token_type: v.literal('Bearer'),
  /** Seconds. */
  expires_in: v.number(),
});

export const auditEntryShape = v.object({
  id: v.string(),
  at: time,
  /** The name of the token, and its id; the admin token has none. */
  actor: v.string(),
  token: v.nullable(v.string()),
  /** The id of the operation, as in this document. */
  action: v.string(),
  method: v.string(),
  route: v.string(),
  /** The concrete path, of a call that was done. */
  path: v.nullable(v.string()),
  app: v.nullable(v.string()),
  environment: v.nullable(v.string()),
  build: v.nullable(v.string()),
  /** The ids of the tokens that were minted or revoked. */
  tokens: v.array(v.string()),
  status: v.number(),
  result: v.picklist(auditResults),
  address: v.string(),
  requestId: v.string(),
});
export const auditListShape = v.object({ items: v.array(auditEntryShape), next: v.nullable(v.string()) });

export type TokenBody = v.InferOutput<typeof tokenBody>;
export type TokenView = v.InferOutput<typeof tokenShape>;
export type TokenRow = v.InferOutput<typeof tokenRowShape>;
export type AuditView = v.InferOutput<typeof auditEntryShape>;
