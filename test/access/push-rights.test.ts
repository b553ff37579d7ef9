import { describe, expect, it } from 'vitest';
import type { Claims } from '../../functions/access/claims.ts';
import { root, type Principal } from '../../functions/access/principal.ts';
import { pushRefusal } from '../../functions/access/push-rights.ts';
import { parseApp } from '../../functions/apps/parse.ts';

const targets = [{ name: 'web' }];
const policy = { source: { allowFile: true, ownRemote: undefined } };
const source = { repoUrl: 'https://github.com/acme/web' };
const build = { kind: 'image' };
const appOf = (environments: readonly object[]) => ({
  id: 'web',
  app: parseApp({ appId: 'org.acme.Web', source, build, environments }, policy),
});
const web = appOf([
  { name: 'dev', branch: 'main', targets },
  { name: 'beta', tag: 'v*', targets },
  { name: 'stable', parent: 'beta', targets },
]);
const holder = (claims: Partial<Claims>): Principal => ({
  name: 'ci',
  jti: 'j1',
  parents: [],
  claims: { ...root.claims, ...claims },
});

describe('a push', () => {
  it.each<[string, Partial<Claims>, string | undefined]>([
    ['with all rights', {}, undefined],
    [
      'with just what it needs',
      { scope: ['deploy'], apps: ['web'], prefixes: [], environments: ['dev', 'beta'] },
      undefined,
    ],
    ['with the app by its outside name', { prefixes: ['org.acme'] }, undefined],
    ['with the sub of the app', { sub: 'app/web' }, undefined],
    ['with another scope', { scope: ['read', 'build'] }, 'it has not the scope deploy'],
    ['to another app', { apps: ['other'], prefixes: [] }, 'it does not allow the app web'],
    ['with the sub of another app', { sub: 'app/other' }, 'its sub does not cover app/web/dev'],
    ['with the sub of one of the environments', { sub: 'app/web/dev' }, 'its sub does not cover app/web/beta'],
    ['to one environment of two', { environments: ['dev'] }, 'it does not allow the environment beta'],
    ['from a branch', { branches: ['main'] }, 'it allows some branches only, and a push may be of any'],
  ])('%s is refused by %j: %j', (_what, claims, refusal) => {
    expect(pushRefusal(holder(claims), web)).toBe(refusal);
  });

  it('with the admin token is not refused, whatever the app', () => {
    expect([pushRefusal(root, web), pushRefusal(root, { id: 'unknown' })]).toEqual([undefined, undefined]);
  });

  it('to an app that is not there is refused without saying so, where the token does not allow it', () => {
    expect(pushRefusal(holder({ apps: ['web'], prefixes: [] }), { id: 'other' })).toBe(
      'it does not allow the app other',
    );
    expect(pushRefusal(holder({ apps: ['web'], prefixes: [] }), { id: 'web' })).toBeUndefined();
  });

  it('to an app of which nothing follows a branch needs the app alone', () => {
    const quiet = appOf([{ name: 'dev', targets }]);
    expect(pushRefusal(holder({ environments: ['beta'] }), quiet)).toBeUndefined();
  });
});
