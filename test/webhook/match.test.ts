import { describe, expect, it } from 'vitest';
import { parseApp } from '../../functions/apps/parse.ts';
import type { AppRecord } from '../../functions/apps/registry.ts';
import { matchPush } from '../../functions/webhook/match.ts';
import { parsePush } from '../../functions/webhook/push.ts';
import { pushOf } from './delivery-of.ts';

const appOf = (id: string, environments: readonly object[]): AppRecord => {
  const targets = [{ name: 'web' }];
  const input = {
    source: { repoUrl: 'https://github.com/acme/web' },
    build: { kind: 'image' },
    environments: environments.map((environment) => ({ targets, ...environment })),
  };
  return {
    id,
    app: parseApp(input, { source: { allowFile: false, ownRemote: undefined } }),
    createdAt: 0,
    updatedAt: 0,
  };
};

const web = appOf('web', [
  { name: 'dev', branch: 'main' },
  { name: 'preview', branch: '{feature,fix}/**' },
  { name: 'release', tag: 'v[0-9]*' },
  { name: 'both', branch: 'main', tag: 'nightly' },
  { name: 'stable', parent: 'dev' },
  { name: 'by-hand' },
]);
const api = appOf('api', [{ name: 'dev', branch: 'main' }]);

const matched = (ref: string, extra: object = {}) =>
  matchPush(parsePush(pushOf({ ref, ...extra })), [web, api]).map(
    ({ record, environment }) => `${record.id}/${environment.name}`,
  );

describe('matchPush', () => {
  it.each([
    ['refs/heads/main', ['web/dev', 'web/both', 'api/dev']],
    ['refs/heads/Main', []],
    ['refs/heads/feature/a/b', ['web/preview']],
    ['refs/heads/v1', []],
    ['refs/tags/v1.0', ['web/release']],
    ['refs/tags/main', []],
    ['refs/tags/nightly', ['web/both']],
    ['refs/heads/other', []],
    ['refs/notes/main', []],
  ])('%s goes to %j', (ref, expected) => {
    expect(matched(ref)).toEqual(expected);
  });

  it('deploys nothing of a branch that was deleted', () => {
    expect(matched('refs/heads/main', { deleted: true })).toEqual([]);
  });
});
