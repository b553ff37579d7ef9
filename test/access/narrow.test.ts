import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scopes, type Claims } from '../../functions/access/claims.ts';
import { isWithin, narrow, type MintRequest } from '../../functions/access/narrow.ts';
import { refusalOf, root, type Principal, type Resource } from '../../functions/access/principal.ts';
import { Problem } from '../../functions/runtime/errors.ts';

const now = 1_700_000_000_500;
const nowSeconds = 1_700_000_000;
const holder = (claims: Partial<Claims>, more: Partial<Principal> = {}): Principal => ({
  name: 'holder',
  jti: 'j0',
  parents: [],
  expiresAtSeconds: nowSeconds + 1000,
  ...more,
  claims: { ...root.claims, ...claims },
});
const ask = (request: Partial<MintRequest> = {}): MintRequest => ({ name: 'child', durationSeconds: 60, ...request });
const refusal = (parent: Principal, request: Partial<MintRequest>): string => {
  try {
    narrow(parent, ask(request), now);
  } catch (error) {
    if (error instanceof Problem) return `${error.kind}: ${error.message}`;
    throw error;
  }
  return '';
};

describe('a new token', () => {
  it('is called after the one it comes from, names it among its parents, and ends in time', () => {
    const parent = holder({}, { parents: ['a', 'b'] });
    expect(narrow(parent, ask(), now)).toEqual({
      name: 'holder/child',
      claims: parent.claims,
      parents: ['a', 'b', 'j0'],
      expiresAtSeconds: nowSeconds + 60,
    });
    expect(narrow(root, ask(), now)).toMatchObject({ name: 'admin/child', parents: [] });
  });

  it('inherits every list that is left out or empty', () => {
    const parent = holder({
      sub: 'build',
      scope: ['build', 'upload'],
      prefixes: ['org.acme'],
      apps: ['web'],
      repos: ['dev'],
      environments: ['dev', 'stable'],
      branches: ['main'],
      tokenType: 'app',
    });
    const empty = { scope: [], prefixes: [], apps: [], repos: [], environments: [], branches: [] };
    expect(narrow(parent, ask(), now).claims).toEqual(parent.claims);
    expect(narrow(parent, ask(empty), now).claims).toEqual(parent.claims);
  });

  it('for an app is for no other: prefixes are not inherited beside it, nor apps beside prefixes', () => {
    expect(narrow(root, ask({ apps: ['web'] }), now).claims).toMatchObject({ apps: ['web'], prefixes: [] });
    const parent = holder({ prefixes: ['org.acme'], apps: ['web'] });
    expect(narrow(parent, ask({ prefixes: ['org.acme.Web'] }), now).claims).toMatchObject({
      apps: [],
      prefixes: ['org.acme.Web'],
    });
    expect(narrow(parent, ask({ apps: ['org.acme.Web'] }), now).claims).toMatchObject({
      apps: ['org.acme.Web'],
      prefixes: [],
    });
  });

  it('leaves out scopes that nobody knows, and repetitions', () => {
    expect(narrow(root, ask({ scope: ['build', 'x', 'build'] }), now).claims.scope).toEqual(['build']);
    expect(refusal(root, { scope: ['x'] })).toContain('invalid: None of the scopes is one of jobs, build,');
  });

  const limited = holder({
    sub: 'build/7',
    scope: ['upload'],
    prefixes: ['org.acme'],
    apps: ['web'],
    repos: ['dev'],
    environments: ['dev'],
    branches: ['main'],
  });
  it.each<[string, Partial<MintRequest>, string]>([
    ['a sub above', { sub: 'build' }, 'the sub of this token does not cover "build"'],
    ['an empty sub', { sub: '' }, 'the sub of this token does not cover ""'],
    ['a sub beside', { sub: 'build/77' }, 'the sub of this token does not cover "build/77"'],
    ['another scope', { scope: ['upload', 'publish'] }, 'this token has no scope "publish"'],
    ['every prefix', { prefixes: [''] }, 'the prefixes of this token do not cover ""'],
    ['a prefix above', { prefixes: ['org'] }, 'the prefixes of this token do not cover "org"'],
    ['a prefix beside', { prefixes: ['org.acmeother'] }, 'the prefixes of this token do not cover "org.acmeother"'],
    ['a prefix of an exact app', { prefixes: ['web'] }, 'the prefixes of this token do not cover "web"'],
    ['another app', { apps: ['web2'] }, 'this token does not allow the app "web2"'],
    ['an app beneath an exact one', { apps: ['web.debug'] }, 'this token does not allow the app "web.debug"'],
    ['every repository', { repos: [''] }, 'the repos of this token do not have ""'],
    ['another repository', { repos: ['stable'] }, 'the repos of this token do not have "stable"'],
    ['every environment', { environments: [''] }, 'the environments of this token do not have ""'],
    ['another branch', { branches: ['main', 'dev'] }, 'the branches of this token do not have "dev"'],
    [
      'a longer life',
      { durationSeconds: 1001 },
      'the new token would live longer than this one, which has 1000 s left',
    ],
  ])('is refused %s', (_what, request, reason) => {
    expect(refusal(limited, request)).toBe(`forbidden: Not enough permissions: ${reason}`);
  });

  it('may live to the very second of the one it comes from', () => {
    expect(narrow(limited, ask({ durationSeconds: 1000 }), now).expiresAtSeconds).toBe(limited.expiresAtSeconds);
  });

  it('has at most 16 tokens above it', () => {
    const parents = Array.from({ length: 15 }, (_, at) => `p${at}`);
    const deep = narrow(holder({}, { parents }), ask(), now);
    expect(deep.parents).toHaveLength(16);
    expect(refusal(holder({}, { parents: [...parents, 'p15'] }), {})).toContain('at most 16 tokens above it');
  });
});

/** Words that are close to one another, so that prefixes, repetitions and odd cases meet. */
const part = fc.constantFrom('org', 'acme', 'web', 'Web', 'a', '', 'dev', '*', 'x');
const dotted = fc.array(part, { maxLength: 4 }).map((parts) => parts.join('.'));
const slashed = fc.oneof(
  fc
    .array(fc.constantFrom('build', 'app', '7', '77', 'web', 'dev', ''), { maxLength: 4 })
    .map((parts) => parts.join('/')),
  fc.constantFrom('', 'build', 'build/7', 'app', 'app/web', 'app/web/dev'),
);
const name = fc.oneof(dotted, fc.string({ maxLength: 5 }));
const place = fc.oneof(fc.constantFrom('', 'dev', 'stable', 'dev2', '*'), fc.string({ maxLength: 3 }));
const list = (entry: fc.Arbitrary<string>) => fc.array(entry, { maxLength: 3 });
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const scope = fc.oneof(fc.constantFrom<string>(...scopes), fc.constantFrom('unknown', ''));
const claims: fc.Arbitrary<Claims> = fc.record({
  sub: slashed,
  scope: list(scope),
  prefixes: list(dotted),
  apps: list(name),
  repos: list(place),
  environments: list(place),
  branches: list(place),
});
const request: fc.Arbitrary<MintRequest> = fc.record({
  name: fc.string({ maxLength: 3 }),
  durationSeconds: fc.integer({ min: 1, max: 5000 }),
  sub: maybe(slashed),
  scope: maybe(list(scope)),
  prefixes: maybe(list(name)),
  apps: maybe(list(name)),
  repos: maybe(list(place)),
  environments: maybe(list(place)),
  branches: maybe(list(place)),
});
const resource: fc.Arbitrary<Resource> = fc.record({
  app: maybe(name),
  appId: maybe(name),
  environment: maybe(place),
  repo: maybe(place),
  build: maybe(fc.constantFrom(7, 77, 8)),
  branch: maybe(place),
});

/** Every token that a chain of requests leads to, the first one first; refused ones are passed over. */
function chainOf(first: Principal, requests: readonly MintRequest[]): readonly Principal[] {
  const chain = [first];
  for (const [at, asked] of requests.entries()) {
    const parent = chain.at(-1) ?? first;
    try {
      chain.push({ ...narrow(parent, asked, now), jti: `j${at + 1}` });
    } catch (error) {
      expect(error).toBeInstanceOf(Problem);
    }
  }
  return chain;
}

describe('whatever is asked for', () => {
  const starts = fc.oneof(
    fc.constant(root),
    claims.map((given): Principal => holder(given)),
  );
  const chains = fc.tuple(starts, fc.array(request, { minLength: 1, maxLength: 6 }));

  it('a token allows nothing that one above it does not allow', () => {
    let minted = 0;
    fc.assert(
      fc.property(chains, fc.array(resource, { minLength: 20, maxLength: 20 }), ([first, requests], resources) => {
        const chain = chainOf(first, requests);
        minted += chain.length - 1;
        for (const [at, child] of chain.entries()) {
          for (const parent of chain.slice(0, at)) {
            for (const asked of resources) {
              if (refusalOf(child, asked) === undefined) expect(refusalOf(parent, asked)).toBeUndefined();
            }
            expect(child.claims.scope.filter((name) => !parent.claims.scope.includes(name))).toEqual([]);
            expect(child.expiresAtSeconds ?? 0).toBeLessThanOrEqual(parent.expiresAtSeconds ?? Infinity);
            expect(child.parents).toEqual(expect.arrayContaining(parent.jti === undefined ? [] : [parent.jti]));
          }
        }
      }),
      { numRuns: 3000 },
    );
    // It is no test of the refusals alone.
    expect(minted).toBeGreaterThan(1000);
  });

  it('a token is within each one above it, and none is within a narrower one', () => {
    fc.assert(
      fc.property(chains, ([first, requests]) => {
        const chain = chainOf(first, requests);
        for (const [at, child] of chain.entries()) {
          for (const parent of chain.slice(0, at)) expect(isWithin(child.claims, parent.claims)).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
    fc.assert(
      fc.property(claims, claims, fc.array(resource, { minLength: 20, maxLength: 20 }), (inner, outer, resources) => {
        if (!isWithin(inner, outer)) return;
        for (const asked of resources) {
          if (refusalOf(holder(inner), asked) === undefined) expect(refusalOf(holder(outer), asked)).toBeUndefined();
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('an empty list never means all', () => {
    fc.assert(
      fc.property(
        claims,
        fc.subarray(['prefixes', 'apps', 'repos', 'environments', 'branches'] as const),
        (given, empty) => {
          const asked = Object.fromEntries(empty.map((name) => [name, []]));
          const parent = holder({ ...given, scope: ['build'] });
          const child = narrow(parent, ask(asked), now).claims;
          for (const name of empty) expect(child[name].includes('')).toBe(given[name].includes(''));
        },
      ),
    );
  });
});
