import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isOwnRemote,
  parseRepoUrl,
  repoIdentity,
  repoUrlIssue,
  repoUrlRefusal,
  type RepoUrl,
} from '../../functions/apps/repo-url.ts';

const segment = fc
  .tuple(fc.stringMatching(/^[A-Za-z0-9_]$/), fc.stringMatching(/^[A-Za-z0-9_.~+-]{0,20}$/))
  .map((parts) => parts.join(''))
  .filter((text) => !/\.git$/i.test(text) && !/^\.\.?$/.test(text));
const host = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}\.[a-z]{2,10}$/).filter((text) => !/^www\.|-\./.test(text));
const repository = fc.record({ host, path: fc.array(segment, { minLength: 1, maxLength: 4 }) });

/** One of the many ways to write a letter of a path. */
const spelled = (path: readonly string[], style: { readonly upper: boolean; readonly encode: boolean }) =>
  path
    .map((part) => (style.upper ? part.toUpperCase() : part))
    .map((part) => (style.encode ? part.replaceAll(/[~+A-Ca-c]/g, encodeByte) : part))
    .join('/');
const encodeByte = (letter: string) => `%${letter.charCodeAt(0).toString(16)}`;

const style = fc.record({
  upper: fc.boolean(),
  encode: fc.boolean(),
  suffix: fc.constantFrom('', '.git', '/', '.git/', '.GIT', '//'),
  www: fc.constantFrom('', 'www.'),
  dot: fc.constantFrom('', '.'),
  form: fc.constantFrom('https', 'http', 'ssh', 'scp', 'scp-rooted'),
  user: fc.constantFrom('', 'git@', 'Some_One@'),
  port: fc.boolean(),
});
type Style = typeof style extends fc.Arbitrary<infer T> ? T : never;

function written(repo: { readonly host: string; readonly path: readonly string[] }, as: Style): string {
  const server = `${as.www}${as.upper ? repo.host.toUpperCase() : repo.host}${as.dot}`;
  const path = (encode: boolean) => spelled(repo.path, { upper: as.upper, encode }) + as.suffix;
  if (as.form === 'scp') return `${as.user}${server}:${path(false)}`;
  if (as.form === 'scp-rooted') return `${as.user}${server}:/${path(false)}`;
  const port = as.port ? `:${{ https: 443, http: 80, ssh: 22 }[as.form]}` : '';
  return `${as.upper ? as.form.toUpperCase() : as.form}://${as.user}${server}${port}/${path(as.encode)}`;
}

describe('parseRepoUrl', () => {
  it('gives all forms of one repository one identity', () => {
    fc.assert(
      fc.property(repository, style, (repo, as) => {
        const expected = `${repo.host}/${repo.path.join('/').toLowerCase()}`;
        expect(parseRepoUrl(written(repo, as))?.identity).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });

  it('gives different repositories different identities', () => {
    fc.assert(
      fc.property(repository, repository, (one, other) => {
        const name = (repo: typeof one) => `${repo.host}/${repo.path.join('/')}`.toLowerCase();
        fc.pre(name(one) !== name(other));
        expect(parseRepoUrl(`https://${name(one)}`)?.identity).not.toBe(
          parseRepoUrl(`https://${name(other)}`)?.identity,
        );
      }),
    );
  });

  it.each([
    ['https://github.com/acme/web.git', 'https', 'github.com/acme/web'],
    ['git@github.com:Acme/Web.git', 'ssh', 'github.com/acme/web'],
    ['ssh://git@ssh.github.com:443/acme/web.git', 'ssh', 'github.com/acme/web'],
    ['ssh://git@git.example.com:2222/acme/web', 'ssh', 'git.example.com:2222/acme/web'],
    ['https://me@dev.azure.com/acme/My%20Project/_git/web', 'https', 'dev.azure.com/acme/my project/_git/web'],
    ['http://127.0.0.1:4600/git/web.git', 'http', 'localhost:4600/git/web'],
    ['http://LOCALHOST:4600/git/web.git', 'http', 'localhost:4600/git/web'],
    ['http://[::1]:4600/git/web.git', 'http', 'localhost:4600/git/web'],
    ['http://0.0.0.0:4600/git/web.git', 'http', 'localhost:4600/git/web'],
    ['git@[2001:db8::1]:acme/web', 'ssh', '[2001:db8::1]/acme/web'],
    ['git@gitserver:/srv/git/web.git', 'ssh', 'gitserver/srv/git/web'],
    ['ssh://me@host.example/~me/web.git', 'ssh', 'host.example/~me/web'],
    ['file:///srv/Git/web.git', 'file', 'file:///srv/Git/web'],
    ['file://localhost/srv/Git/web/.git', 'file', 'file:///srv/Git/web'],
  ])('%s is %s %s', (text, transport, identity) => {
    expect(parseRepoUrl(text)).toEqual({ transport, identity });
  });

  const hostile = [
    '',
    '/',
    'web',
    '/srv/git/web.git',
    './web.git',
    'C:/git/web.git',
    'C:\\git\\web.git',
    '-',
    '--upload-pack=touch /tmp/x',
    '--upload-pack=touch',
    '-oProxyCommand=touch',
    'ext::sh -c touch% /tmp/x',
    'ext::sh',
    'fd::17',
    'fd::17/web',
    'git@ext::sh',
    'ssh://-oProxyCommand=touch/web',
    'ssh://-oProxyCommand=touch@github.com/web',
    'ssh://%2DoProxyCommand=touch@github.com/web',
    'ssh://git@-oProxyCommand=touch/web',
    'ssh://git@-host.example/acme/web',
    '-oProxyCommand=x@github.com:acme/web',
    'git@-host.example:acme/web',
    'git@github.com:-acme/web',
    'git@github.com:--upload-pack=x',
    'ssh://git@github.com/-acme/web',
    'https://github.com/acme/web\n',
    'https://github.com/acme/web\nhttps://evil.example/x',
    'https://github.com/acme/we\tb',
    'https://github.com/acme/we b',
    ' https://github.com/acme/web',
    'https://github.com/acme/web\u0000',
    'https://github.com/acme/we\u202eb',
    'https://github.com/acme/\u00a0web',
    'https://github.com/acme/%0aweb',
    'https://github.com/acme/%00',
    'https://github.com/acme/%zz',
    'https://github.com/acme%2f..%2fweb',
    'https://github.com/acme/../web',
    'https://github.com/acme/%2e%2e/web',
    'https://github.com/acme/./web',
    'https://github.com/acme\\web',
    'https://github.com/acme/web?x=1',
    'https://github.com/acme/web#main',
    'https://github.com/acme/$(touch)`x`',
    'https://github.com',
    'https://github.com/',
    'https://github.com/.git',
    'https:///acme/web',
    'https:github.com/acme/web',
    'https://github.com:0/acme/web',
    'https://github.com:99999/acme/web',
    'https://github.com:x/acme/web',
    'https://git hub.com/acme/web',
    'https://github.com@evil@evil.example/acme/web',
    'javascript://github.com/acme/web',
    'ftp://github.com/acme/web',
    'git://github.com/acme/web',
    'file://server/share/web.git',
    'file:///',
    'file:///srv/../etc',
    'file:///srv/%2e%2e/etc',
    `https://github.com/${'a'.repeat(3000)}`,
    `git@github.com:${'a/'.repeat(5_000_000)}`,
    `${'a'.repeat(2000)}.`,
    '\ud800',
  ];
  it.each(hostile.map((text) => [text.slice(0, 80), text]))('refuses %j', (_shown, text) => {
    expect(parseRepoUrl(text)).toBeUndefined();
    expect(repoUrlIssue(text)).toMatch(/^a repository URL/);
  });

  it.each([
    'https://git:hunter2@github.com/acme/web',
    'https://git%3Ahunter2@github.com/acme/web',
    'ssh://git:hunter2@github.com/acme/web',
    'https://ghp_0123456789abcdefghij@github.com/acme/web',
    'https://github_pat_0123456789@github.com/acme/web',
    'https://glpat-0123456789@gitlab.com/acme/web',
    `https://${'a1'.repeat(20)}@git.example.com/acme/web`,
  ])('refuses the credential in %s and says where it belongs', (text) => {
    expect(parseRepoUrl(text)).toBeUndefined();
    expect(repoUrlIssue(text)).toBe('a repository URL without a password or token: keep those in a secret');
  });

  it.each(['https://a/...git', 'https://a/b/..git', 'git@host.example:...git'])(
    'refuses %s, which without its suffix leaves its folder',
    (text) => {
      expect(parseRepoUrl(text)).toBeUndefined();
    },
  );

  it('never throws, whatever the text', () => {
    const glued = fc
      .array(fc.constantFrom('https://', 'ssh://', 'git@', ':', '/', '..', '%2e', '%', '[', ']', '-', '@', 'a', '.git'))
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.webUrl(), glued), (text) => {
        const parsed = parseRepoUrl(text);
        expect(parsed === undefined).toBe(repoUrlIssue(text) !== undefined);
        expect(parsed?.identity ?? '').not.toMatch(/\/\.\.(?:\/|$)|^-|\n/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('repoIdentity', () => {
  it('also knows the forms that only payloads have', () => {
    expect(repoIdentity('git://github.com/Acme/Web.git')).toBe('github.com/acme/web');
    expect(repoIdentity('https://x-access-token:secret@github.com/acme/web')).toBe('github.com/acme/web');
    expect(repoIdentity('nonsense')).toBeUndefined();
  });
});

describe('repoUrlRefusal', () => {
  const here = { allowFile: true, ownRemote: 'http://127.0.0.1:4600/git/' };
  const cloud = { allowFile: false, ownRemote: undefined };
  const url = (text: string) => parseRepoUrl(text) as RepoUrl;

  it('takes https and ssh everywhere', () => {
    for (const text of ['https://github.com/acme/web', 'git@github.com:acme/web.git']) {
      expect(repoUrlRefusal(url(text), here)).toBeUndefined();
      expect(repoUrlRefusal(url(text), cloud)).toBeUndefined();
    }
  });
  it('takes files only where the policy allows them', () => {
    expect(repoUrlRefusal(url('file:///srv/web.git'), here)).toBeUndefined();
    expect(repoUrlRefusal(url('file:///srv/web.git'), cloud)).toContain('files are not reachable');
  });
  it('takes plain http from its own remote alone', () => {
    expect(repoUrlRefusal(url('http://localhost:4600/git/web.git'), here)).toBeUndefined();
    expect(repoUrlRefusal(url('http://127.0.0.1:4600/git/web.git'), cloud)).toContain('plain http');
    expect(repoUrlRefusal(url('http://127.0.0.1:4601/git/web.git'), here)).toContain('plain http');
    expect(repoUrlRefusal(url('http://127.0.0.1:4600/other/web.git'), here)).toContain('plain http');
  });
  it('knows its own remote', () => {
    expect(isOwnRemote(url('http://127.0.0.1:4600/git/web.git'), here)).toBe(true);
    expect(isOwnRemote(url('https://github.com/acme/web'), here)).toBe(false);
    expect(isOwnRemote(url('http://127.0.0.1:4600/git/web.git'), cloud)).toBe(false);
  });
});
