import * as fc from 'fast-check';
import { execFileSync, spawnSync } from 'node:child_process';
import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { globMatches, parseGlob } from '../../functions/apps/glob.ts';
import { globIssue, refIssue, sourcePathIssue } from '../../functions/apps/names.ts';

/** Text of the letters that make trouble. */
const troubled = fc.string({
  unit: fc.constantFrom(...'ab-./@{}~^:?*[]\\ \n\t\u0000\u007f!,'.split(''), '..', '.lock', '@{', 'é', '😀', '\ud800'),
  maxLength: 12,
});

const hostile = [
  '',
  '-',
  '-b',
  '--upload-pack=touch x',
  '--upload-pack=x',
  '-oProxyCommand=x',
  'main\n--upload-pack=x',
  'main\r',
  'main\u0000',
  'main x',
  'a..b',
  '..',
  '../main',
  'refs/../main',
  'a/./b',
  '/main',
  'main/',
  'main.',
  'a//b',
  'main.lock',
  'a.lock/b',
  '.hidden',
  'a/.b',
  '@',
  'a@{1}',
  'main~1',
  'main^',
  'a:b',
  'a?b',
  'a*',
  'a[b',
  'a\\b',
  '\ud800',
  'x'.repeat(256),
  'x'.repeat(1_000_000),
];

describe('refIssue', () => {
  it.each([
    'main',
    'feature/x-1',
    'v1.2.3',
    'refs/heads/main',
    'dependabot/npm_and_yarn/@types/node-1',
    'a{b}',
    'größe',
  ])('finds nothing wrong with %s', (ref) => {
    expect(refIssue(ref)).toBeUndefined();
  });

  it.each(hostile.map((ref) => [ref.slice(0, 40), ref]))('refuses %j', (_shown, ref) => {
    expect(refIssue(ref)).toMatch(/^a branch, tag or commit/);
  });

  it('lets pass only what Git itself takes as a ref', () => {
    fc.assert(
      fc.property(troubled, (ref) => {
        fc.pre(refIssue(ref) === undefined);
        const { status } = spawnSync('git', ['check-ref-format', '--allow-onelevel', ref]);
        expect([ref, status]).toEqual([ref, 0]);
      }),
      { numRuns: 60 },
    );
  });

  it('takes the names of branches that Git makes by itself', () => {
    expect(execFileSync('git', ['check-ref-format', '--branch', 'feature/@x']).toString().trim()).toBe('feature/@x');
    expect(refIssue('feature/@x')).toBeUndefined();
  });
});

describe('sourcePathIssue', () => {
  it.each(['.', 'Dockerfile', 'docker/Dockerfile.prod', './app', 'a b/c', '.docker/x', 'a..b/c'])(
    'finds nothing wrong with %j',
    (path) => {
      expect(sourcePathIssue(path)).toBeUndefined();
    },
  );

  it.each([
    '',
    '/',
    '/etc/passwd',
    '..',
    '../x',
    'a/../../x',
    'a/..',
    '-f',
    'a\nb',
    'a\u0000b',
    '..\\x',
    'C:x',
    '\ud800',
  ])('refuses %j', (path) => {
    expect(sourcePathIssue(path)).toMatch(/^a (?:relative )?path/);
  });
  it('refuses a path of absurd length', () => {
    expect(sourcePathIssue('a/'.repeat(10_000))).toBe('a path of 1 to 1024 characters');
  });

  it('lets no path leave the source', () => {
    fc.assert(
      fc.property(troubled, (path) => {
        fc.pre(sourcePathIssue(path) === undefined);
        expect(posix.join('/source', path)).toMatch(/^\/source(?:\/|$)/);
      }),
    );
  });
});

describe('globIssue', () => {
  it.each(['main', 'release/*', '**', 'v[0-9]*', 'v[!0]*', '{main,release/**}', 'v?.?'])(
    'finds nothing wrong with %s',
    (glob) => {
      expect(globIssue(glob)).toBeUndefined();
    },
  );
  it.each([
    '',
    '!main',
    'a b',
    '-x',
    'a..b',
    'a[',
    'a]',
    '[]',
    'a{b',
    'a}',
    '{a}',
    '{a,{b,c}}',
    '[a/b]',
    'x'.repeat(300),
  ])('refuses %j', (glob) => {
    expect(globIssue(glob)).toMatch(/^a branch or tag name/);
  });
  it('refuses more alternatives than anybody means', () => {
    expect(globIssue('{a,b}'.repeat(6))).toBeUndefined();
    expect(globIssue('{a,b}'.repeat(7))).toBeDefined();
  });
});

describe('globMatches', () => {
  const matches = (glob: string, name: string) => {
    const parsed = parseGlob(glob);
    return parsed !== undefined && globMatches(parsed, name);
  };

  it.each([
    ['main', 'main', true],
    ['main', 'main2', false],
    ['main', 'amain', false],
    ['release/*', 'release/1.2', true],
    ['release/*', 'release/', true],
    ['release/*', 'release/1/2', false],
    ['release/*', 'release', false],
    ['release/**', 'release/1/2', true],
    ['**', 'a/b', true],
    ['*', 'a/b', false],
    ['*', '.hidden', true],
    ['**/fix', 'a/b/fix', true],
    ['v?.?', 'v1.2', true],
    ['v?.?', 'v1/2', false],
    ['v[0-9]*', 'v1.0', true],
    ['v[0-9]*', 'va', false],
    ['v[!0]*', 'v1', true],
    ['v[!0]*', 'v0', false],
    ['[!a]', '/', false],
    ['{main,next}', 'next', true],
    ['{main,release/*}', 'release/2', true],
    ['{main,next}', 'mainnext', false],
    ['a.b', 'axb', false],
    ['?', '😀', true],
  ])('%s and %s: %s', (glob, name, expected) => {
    expect(matches(glob, name)).toBe(expected);
  });

  it('matches every plain name with itself alone', () => {
    const name = fc.stringMatching(/^[a-z0-9/.-]{1,12}$/);
    fc.assert(
      fc.property(name, name, (one, other) => {
        expect(matches(one, other)).toBe(one === other);
      }),
    );
  });

  it('does what a regular expression for it does', () => {
    const glob = fc
      .array(fc.constantFrom('a', 'b', '/', '*', '**', '?'), { maxLength: 6 })
      .map((parts) => parts.join(''));
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 8 });
    const regexp = (text: string) =>
      new RegExp(
        `^${text.replaceAll(/\*+|\?/g, (wild) => (wild === '?' ? '[^/]' : wild === '*' ? '[^/]*' : '[^]*'))}$`,
      );
    fc.assert(
      fc.property(glob, name, (glob, name) => {
        expect(matches(glob, name)).toBe(regexp(glob).test(name));
      }),
      { numRuns: 1000 },
    );
  });

  it('takes no longer for many stars than for one', () => {
    // A regular expression for this does not come to an end in a lifetime.
    expect(matches(`${'*-'.repeat(100)}x`, '-'.repeat(255))).toBe(false);
  });
});
