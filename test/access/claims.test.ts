import { describe, expect, it } from 'vitest';
import { ciScopes } from '../../functions/apps/schema.ts';
import {
  allClaims,
  allowsAllApps,
  allowsApp,
  allowsEverywhere,
  allowsPlace,
  coversPrefix,
  coversSub,
  hasScope,
  listAllows,
  scopes,
} from '../../functions/access/claims.ts';

describe('a sub', () => {
  it.each([
    ['', '', true],
    ['', 'build', true],
    ['', 'app/web/dev', true],
    ['build', 'build', true],
    ['build', 'build/7', true],
    ['build', 'build/7/x', true],
    ['build/7', 'build/7', true],
    ['build', '', false],
    ['build', 'builds', false],
    ['build', 'build7', false],
    ['build/7', 'build', false],
    ['build/7', 'build/77', false],
    ['build/7', 'build/8', false],
    ['build/', 'build', false],
    ['build/', 'build/7', false],
    ['Build', 'build', false],
    ['app/web', 'app/web/dev', true],
    ['app/web', 'app/website', false],
    ['app/web/dev', 'app/web', false],
  ])('%j covers %j: %s', (sub, wanted, covers) => {
    expect(coversSub(sub, wanted)).toBe(covers);
  });
});

describe('a prefix', () => {
  it.each([
    ['', '', true],
    ['', 'org.acme.Web', true],
    ['org.acme', 'org.acme', true],
    ['org.acme', 'org.acme.Web', true],
    ['org.acme', 'org.acme.Web.Debug', true],
    ['org.acme', 'org.acmeother', false],
    ['org.acme', 'org.acme-other', false],
    ['org.acme', 'org', false],
    ['org.acme', '', false],
    ['org.acme', 'Org.acme', false],
    ['org.acme.', 'org.acme.Web', false],
    ['web', 'web', true],
    ['web', 'website', false],
  ])('%j covers %j: %s', (prefix, wanted, covers) => {
    expect(coversPrefix(prefix, wanted)).toBe(covers);
  });
});

describe('an app', () => {
  it('is allowed by its exact name or by a prefix, and by nothing else', () => {
    const claims = { apps: ['web'], prefixes: ['org.acme'] };
    expect(['web', 'org.acme', 'org.acme.Web'].map((name) => allowsApp(claims, name))).toEqual([true, true, true]);
    expect(['web.x', 'web2', 'org', 'org.acmex', ''].filter((name) => allowsApp(claims, name))).toEqual([]);
  });

  it('is allowed by no empty list', () => {
    expect(['web', ''].filter((name) => allowsApp({ apps: [], prefixes: [] }, name))).toEqual([]);
    expect(allowsAllApps({ prefixes: [] })).toBe(false);
    expect(allowsAllApps({ prefixes: ['org', ''] })).toBe(true);
  });
});

describe('an environment', () => {
  it.each([
    [[''], [''], true],
    [['dev'], [''], true],
    [[''], ['dev'], true],
    [['dev'], ['dev'], true],
    [['dev'], ['stable'], false],
    [[], [''], false],
    [[''], [], false],
    [['dev2'], [''], false],
  ])('dev is allowed by the repos %j with the environments %j: %s', (repos, environments, allowed) => {
    expect(allowsPlace({ repos, environments }, 'dev')).toBe(allowed);
  });

  it('is no reason to allow all', () => {
    expect(allowsEverywhere({ repos: ['dev'], environments: [''] })).toBe(false);
    expect(allowsEverywhere({ repos: [''], environments: ['dev', 'stable'] })).toBe(false);
    expect(allowsEverywhere({ repos: [''], environments: [''] })).toBe(true);
  });

  it('is allowed by a list exactly', () => {
    expect(listAllows(['release/*'], 'release/1')).toBe(false);
  });
});

describe('the admin token', () => {
  it('allows everything', () => {
    expect(scopes.every((scope) => hasScope(allClaims, scope))).toBe(true);
    expect(
      coversSub(allClaims.sub, 'anything') && allowsApp(allClaims, 'any.thing') && allowsEverywhere(allClaims),
    ).toBe(true);
  });
});

describe('what a job of CI may be granted', () => {
  it('is of our scopes, and of none by which rights are changed', () => {
    expect(ciScopes.filter((scope) => !(scopes as readonly string[]).includes(scope))).toEqual([]);
    const dangerous = ['tokenmanagement', 'apps', 'secrets', 'audit', 'metrics', 'reviewcheck'];
    expect(ciScopes.filter((scope) => dangerous.includes(scope))).toEqual([]);
  });
});
