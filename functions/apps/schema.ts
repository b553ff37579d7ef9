import * as v from 'valibot';
import { imageReferenceIssue } from '../artifacts/image-reference.ts';
import { globIssue, webUrlIssue, refIssue, sourcePathIssue } from './names.ts';
import { repoUrlIssue } from './repo-url.ts';

/**
 * What an app may say. The schema is the one place for shapes, limits and defaults; the types are inferred from it.
 * Messages say what was expected and never hold the value: it may be a secret put in the wrong field.
 */
const word = (max: number) =>
  v.pipe(
    v.string('a string'),
    v.regex(
      new RegExp(`^[a-z](?:[a-z0-9-]{0,${max - 2}}[a-z0-9])?$`),
      `1 to ${max} lower-case letters, digits and inner dashes, a letter first`,
    ),
  );
/** A string that a function finds nothing wrong with; the function answers with what was expected. */
const checked = (issue: (text: string) => string | undefined) =>
  v.pipe(
    v.string('a string'),
    v.rawCheck(({ dataset, addIssue }) => {
      const expected = dataset.typed ? issue(dataset.value) : undefined;
      if (expected) addIssue({ message: expected });
    }),
  );
const between = (min: number, max: number) =>
  v.pipe(
    v.number(`a number from ${min} to ${max}`),
    v.minValue(min, `a number from ${min} to ${max}`),
    v.maxValue(max, `a number from ${min} to ${max}`),
  );
const whole = (min: number, max: number) =>
  v.pipe(
    v.number(`a whole number from ${min} to ${max}`),
    v.integer(`a whole number from ${min} to ${max}`),
    v.minValue(min, `a whole number from ${min} to ${max}`),
    v.maxValue(max, `a whole number from ${min} to ${max}`),
  );
const text = (max: number) =>
  v.pipe(
    v.string('a string'),
    v.maxLength(max, `at most ${max} characters`),
    // oxlint-disable-next-line no-control-regex -- NUL cannot pass through an environment or an argument list
    v.regex(/^[^\u0000]*$/, 'no NUL character'),
  );
const variableName = v.pipe(
  v.string('a string'),
  v.regex(/^[A-Za-z_][A-Za-z0-9_]{0,254}$/, 'a variable name: letters, digits and underscores, no digit first'),
);
const variables = v.record(variableName, text(32_768), 'an object of strings');
const argumentList = v.pipe(
  v.array(text(4096), 'a list of strings'),
  v.minLength(1, 'a list of at least one string'),
  v.maxLength(100, 'a list of at most 100 strings'),
);
const object = <const E extends v.ObjectEntries>(entries: E) =>
  v.strictObject(entries, 'an object of the known fields');

export const nameSchema = word(40);
export const secretNameSchema = v.pipe(
  v.string('a string'),
  v.regex(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/, '1 to 64 lower-case letters, digits and inner dashes'),
);

const sourceSchema = object({
  repoUrl: checked(repoUrlIssue),
  ref: v.optional(checked(refIssue), 'main'),
  credential: v.optional(
    v.variant(
      'kind',
      [
        object({ kind: v.literal('none') }),
        /** The app's deploy key, made by `POST …/deploy-key`. */
        object({ kind: v.literal('ssh-key') }),
        /** A token in one of the app's secrets, given to Git through GIT_ASKPASS. */
        object({
          kind: v.literal('https-token'),
          secret: secretNameSchema,
          username: v.optional(text(100), 'x-access-token'),
        }),
      ],
      'an object whose kind is none, ssh-key or https-token',
    ),
    { kind: 'none' },
  ),
  /** Lines of `known_hosts` that pin the server's keys; without them GitHub's are pinned and others accepted once and remembered. */
  hostKeys: v.optional(v.pipe(v.array(text(2000), 'a list of known_hosts lines'), v.maxLength(20, 'at most 20 lines'))),
});

const timeoutMinutes = v.optional(between(0.01, 480), 10);
const buildSchema = v.variant(
  'kind',
  [
    object({
      kind: v.literal('image'),
      dockerfile: v.optional(checked(sourcePathIssue), 'Dockerfile'),
      context: v.optional(checked(sourcePathIssue), '.'),
      target: v.optional(
        v.pipe(v.string('a string'), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'the name of a build stage')),
      ),
      buildArgs: v.optional(variables, {}),
      timeoutMinutes,
    }),
    object({
      kind: v.literal('bundle'),
      command: v.optional(text(32_768)),
      output: v.optional(checked(sourcePathIssue), '.'),
      timeoutMinutes,
    }),
  ],
  'an object whose kind is image or bundle',
);

const runtimeSchema = object({
  port: v.optional(whole(1, 65_535), 3000),
  command: v.optional(argumentList),
  env: v.optional(variables, {}),
  secrets: v.optional(v.record(variableName, secretNameSchema, 'an object of secret names'), {}),
  stopTimeoutSeconds: v.optional(between(0, 120), 30),
});

const healthSchema = object({
  path: v.optional(
    v.pipe(v.string('a string'), v.regex(/^\/[!-~]{0,1000}$/, 'a path that begins with / and has no blanks')),
    '/health',
  ),
  intervalSeconds: v.optional(between(0.05, 300), 5),
  timeoutSeconds: v.optional(between(0.05, 120), 2),
  healthyThreshold: v.optional(whole(1, 10), 2),
  unhealthyThreshold: v.optional(whole(1, 10), 2),
  /** How long after its start a task may fail the check without counting as failed. */
  graceSeconds: v.optional(between(0, 3600), 60),
});

const targetSchema = object({
  name: word(32),
  cluster: v.optional(text(255), 'local'),
  service: v.optional(text(255)),
  container: v.optional(text(255)),
  desiredCount: v.optional(whole(0, 1000), 1),
  listenPort: v.optional(whole(1, 65_535)),
  /** Targets of one wave roll in parallel; waves roll in ascending order. */
  wave: v.optional(whole(0, 99), 0),
});

const rolloutSchema = object({
  strategy: v.optional(v.literal('rolling', 'rolling'), 'rolling'),
  minimumHealthyPercent: v.optional(whole(0, 100), 100),
  maximumPercent: v.optional(whole(100, 400), 200),
  drainSeconds: v.optional(between(0, 3600), 30),
  bakeSeconds: v.optional(between(0, 86_400), 0),
  /** The circuit breaker: so many new tasks failed in a row end the rollout … */
  failureThreshold: v.optional(whole(1, 100), 3),
  /** … and so does this much time without the target having reached its new revision. */
  timeLimitSeconds: v.optional(between(1, 86_400), 900),
});

const hostName = v.pipe(
  v.string('a string'),
  v.regex(
    /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/,
    'a host name in lower case',
  ),
);
/** What is run on a build by upload once it is committed, before it may be published. */
const checkSchema = object({
  name: word(40),
  /** A shell command, run beside what was committed. */
  command: v.optional(text(32_768)),
  /** An image that is run with what was committed at `/artifact`; with `command`, that is run in it. */
  image: v.optional(checked(imageReferenceIssue)),
  /** Whether the build fails with it; else a failure is a warning. */
  required: v.optional(v.boolean('true or false'), true),
  /** Whether a failure waits for a person's review instead. */
  reviewable: v.optional(v.boolean('true or false'), false),
  timeoutMinutes: v.optional(between(0.01, 480), 10),
});

/** Who is told, by a signed request, when something was published here. */
const hookSchema = object({
  name: word(40),
  url: checked(webUrlIssue),
  /** The app's secret by which the requests are signed. */
  secret: secretNameSchema,
});

const environmentSchema = object({
  name: word(32),
  /** Pushes to this branch are deployed here: a name, or a glob as `release/*`. */
  branch: v.optional(checked(globIssue)),
  /** Tags whose name fits this glob are deployed here. */
  tag: v.optional(checked(globIssue)),
  /** Where artifacts come from; an environment with a parent takes promotions and rollbacks, no builds. */
  parent: v.optional(word(32)),
  /** Whether a newer queued deployment replaces an older queued one. */
  supersede: v.optional(v.boolean('true or false'), true),
  env: v.optional(variables, {}),
  domains: v.optional(v.pipe(v.array(hostName, 'a list of host names'), v.maxLength(50, 'at most 50 host names')), []),
  /** Whether a client stays with the task that answered it first (a cookie), as long as that task serves. */
  stickySessions: v.optional(v.boolean('true or false'), false),
  targets: v.pipe(
    v.array(targetSchema, 'a list of targets'),
    v.minLength(1, 'at least one target'),
    v.maxLength(40, 'at most 40 targets'),
  ),
  rollout: v.optional(rolloutSchema, {}),
  /** Whether what has succeeded in the parent comes here by itself. */
  promotion: v.optional(v.picklist(['manual', 'automatic'], 'manual or automatic')),
  checks: v.optional(v.pipe(v.array(checkSchema, 'a list of checks'), v.maxLength(20, 'at most 20 checks'))),
  hooks: v.optional(v.pipe(v.array(hookSchema, 'a list of hooks'), v.maxLength(20, 'at most 20 hooks'))),
});

/** How tools outside know an app, where that is not its id: `org.example.Hello`. */
export const appIdSchema = v.pipe(
  v.string('a string'),
  v.regex(
    /^(?=.{3,255}$)[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)+$/,
    'a name with dots as org.example.Hello: letters, digits, dashes and underscores, no digit first in a part',
  ),
);

/** What a job of CI may be granted: nothing by which it could change what others, or it itself, may do. */
export const ciScopes = [
  'build',
  'upload',
  'publish',
  'jobs',
  'download',
  'generate',
  'read',
  'deploy',
  'rollback',
  'scale',
] as const;

/** Which jobs of GitHub Actions may exchange their OpenID Connect token for one of ours. */
const ciSchema = object({
  repository: v.pipe(
    v.string('a string'),
    v.regex(/^[A-Za-z0-9-]{1,39}\/[\w.-]{1,100}$/, 'a repository of GitHub as acme/web'),
  ),
  /** A branch, or a glob as `release/*`. */
  branch: checked(globIssue),
  environments: v.pipe(
    v.array(word(32), 'a list of environments'),
    v.minLength(1, 'at least one environment'),
    v.maxLength(20, 'at most 20 environments'),
  ),
  scopes: v.pipe(
    v.array(v.picklist(ciScopes, `one of ${ciScopes.join(', ')}`), 'a list of scopes'),
    v.minLength(1, 'at least one scope'),
    v.maxLength(20, 'at most 20 scopes'),
  ),
  /** How long the token is good. */
  minutes: v.optional(whole(1, 60), 15),
});

export const appSchema = object({
  appId: v.optional(appIdSchema),
  source: v.optional(sourceSchema),
  build: v.optional(buildSchema),
  runtime: v.optional(runtimeSchema, {}),
  health: v.optional(healthSchema, {}),
  environments: v.pipe(
    v.array(environmentSchema, 'a list of environments'),
    v.minLength(1, 'at least one environment'),
    v.maxLength(20, 'at most 20 environments'),
  ),
  ci: v.optional(v.pipe(v.array(ciSchema, 'a list of rules'), v.maxLength(50, 'at most 50 rules'))),
});

export type App = v.InferOutput<typeof appSchema>;
export type CiRule = NonNullable<App['ci']>[number];
/** An app as a person writes it: everything with a default may be left out. */
export type AppInput = v.InferInput<typeof appSchema>;
export type Source = NonNullable<App['source']>;
export type BuildSettings = NonNullable<App['build']>;
export type Health = App['health'];
export type Environment = App['environments'][number];
export type Target = Environment['targets'][number];
export type CheckSettings = NonNullable<Environment['checks']>[number];
export type HookSettings = NonNullable<Environment['hooks']>[number];
export type RolloutSettings = Environment['rollout'];
/** What the fleet must know of an environment to roll a target of it. */
export type RolloutPolicy = RolloutSettings & { readonly stickySessions: boolean };
