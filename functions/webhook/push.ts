import * as v from 'valibot';
import { refIssue } from '../apps/names.ts';
import { repoIdentity } from '../apps/repo-url.ts';
import { invalid, parseInput } from '../runtime/parse.ts';
import { commitShaPattern, type CommitSha } from '../runtime/units.ts';

/** What a push did to one branch or tag. */
export type PushEvent = {
  /** The full ref: `refs/heads/main`. */
  readonly ref: string;
  /** `undefined` for refs that are neither: notes and the like. */
  readonly kind: 'branch' | 'tag' | undefined;
  /** The ref without `refs/heads/` or `refs/tags/`. */
  readonly name: string;
  /** The commit that the ref names now; undefined when it was deleted. */
  readonly commit: CommitSha | undefined;
  /** Every identity by which the payload names the repository (`repoIdentity`). */
  readonly repositories: readonly string[];
  readonly pushedAtSeconds: number | undefined;
  readonly pusher: string;
};

const objectId = v.pipe(v.string('a full commit id'), v.regex(commitShaPattern, 'a full commit id'));
const maybe = <S extends v.GenericSchema>(schema: S) => v.nullish(schema);
const url = maybe(v.string('a URL'));

/**
 * The fields that are used, and no others: GitHub's payloads change, and a third of its own examples fail a strict
 * schema. https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
 */
const pushSchema = v.object(
  {
    ref: v.pipe(
      v.string('a full ref'),
      v.check((ref) => ref.startsWith('refs/') && refIssue(ref) === undefined, 'a full ref as refs/heads/main'),
    ),
    after: objectId,
    deleted: maybe(v.boolean('true or false')),
    head_commit: maybe(v.object({ id: objectId }, 'an object')),
    repository: v.object(
      {
        clone_url: url,
        ssh_url: url,
        git_url: url,
        html_url: url,
        /** Seconds since 1970 in a push; GitHub's other events have ISO 8601 there. */
        pushed_at: maybe(v.union([v.pipe(v.number(), v.minValue(0)), v.pipe(v.string(), v.isoTimestamp())])),
      },
      'an object',
    ),
    pusher: maybe(v.object({ name: maybe(v.string('a string')) }, 'an object')),
  },
  'an object',
);

/** Takes a push's payload apart. Throws `Problem('invalid')`. */
export function parsePush(payload: unknown): PushEvent {
  const push = parseInput(pushSchema, payload, 'push');
  const { clone_url, ssh_url, git_url, html_url, pushed_at } = push.repository;
  const identities = [clone_url, ssh_url, git_url, html_url].map((url) => url && repoIdentity(url)).filter(isText);
  if (identities.length === 0) {
    throw invalid('push', [{ field: 'repository.clone_url', expected: 'the URL of a repository' }]);
  }
  const isDeleted = push.deleted === true || /^0+$/.test(push.after);
  return {
    ref: push.ref,
    ...takeRefApart(push.ref),
    // Of an annotated tag, `after` is the tag itself.
    commit: isDeleted ? undefined : (push.head_commit?.id ?? push.after),
    repositories: [...new Set(identities)],
    pushedAtSeconds: secondsOf(pushed_at),
    pusher: push.pusher?.name?.slice(0, 100) || 'somebody',
  };
}

function takeRefApart(ref: string): Pick<PushEvent, 'kind' | 'name'> {
  if (ref.startsWith('refs/heads/')) return { kind: 'branch', name: ref.slice('refs/heads/'.length) };
  if (ref.startsWith('refs/tags/')) return { kind: 'tag', name: ref.slice('refs/tags/'.length) };
  return { kind: undefined, name: ref };
}

function secondsOf(time: number | string | null | undefined): number | undefined {
  if (typeof time === 'number') return Math.floor(time);
  return time ? Math.floor(Date.parse(time) / 1000) : undefined;
}

function isText(text: string | null | undefined): text is string {
  return typeof text === 'string' && text !== '';
}
