import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { fetchSource } from '../../buildspecs/agent/fetch-source.ts';
import { gitCommand, gitEnvironment } from '../../buildspecs/agent/git-command.ts';
import { parseRepoUrl } from '../../functions/apps/repo-url.ts';
import { parseBuildSpec, type SourceSpec } from '../../functions/builds/spec.ts';
import { makeSource, sourceSpec, type Repository } from '../support/builds.ts';
import { makeOutside, type TestOutside } from '../support/outside.ts';

let repository: Repository;
const commits: Record<'first' | 'second' | 'third' | 'side', string> = { first: '', second: '', third: '', side: '' };
beforeAll(async () => {
  repository = await makeSource();
  commits.first = await repository.git('rev-parse', 'HEAD');
  commits.second = await repository.commit({ 'app.txt': 'two\n' });
  await repository.git('tag', '--annotate', '--message=One', 'v1');
  await repository.git('tag', 'light');
  await repository.git('branch', 'v1-branch');
  commits.third = await repository.commit({ 'app.txt': 'three\n' });
  await repository.git('checkout', '--quiet', '-b', 'feature/side', commits.first);
  commits.side = await repository.commit({ 'app.txt': 'side\n' });
  await repository.git('update-ref', 'refs/pull/7/head', commits.side);
  await repository.git('checkout', '--quiet', 'main');
});
afterAll(async () => await repository.remove());

const made: TestOutside[] = [];
afterEach(async () => {
  for (const outside of made.splice(0)) await outside.remove();
});

async function fetched(source: Partial<SourceSpec>, allow?: readonly string[]) {
  const spec = sourceSpec({ repoUrl: repository.url, ...source });
  const work = { kind: 'bundle', source: spec, bundle: { output: '.' } } as const;
  const outside = await makeOutside(work, allow ? { allow } : {});
  made.push(outside);
  await fetchSource(outside, spec);
  const text = await readFile(join(outside.work.source, 'app.txt'), 'utf8');
  const { source: state, phases } = await outside.state();
  return { outside, text, commit: state?.commit, phases };
}

describe('fetching the source', () => {
  it.each([
    { what: 'a branch', ref: 'main', commit: 'third', text: 'three\n' },
    { what: 'a branch with a slash', ref: 'feature/side', commit: 'side', text: 'side\n' },
    { what: 'an annotated tag', ref: 'v1', commit: 'second', text: 'two\n' },
    { what: 'a light tag', ref: 'light', commit: 'second', text: 'two\n' },
    { what: 'a full ref', ref: 'refs/heads/feature/side', commit: 'side', text: 'side\n' },
    { what: 'a pull request’s ref', ref: 'refs/pull/7/head', commit: 'side', text: 'side\n' },
    { what: 'HEAD', ref: 'HEAD', commit: 'third', text: 'three\n' },
  ] as const)('takes $what and reports the exact commit', async ({ ref, commit, text }) => {
    expect(await fetched({ ref })).toMatchObject({ text, commit: commits[commit] });
  });

  it('takes a commit by its full SHA, given as the ref', async () => {
    expect(await fetched({ ref: commits.second })).toMatchObject({ text: 'two\n', commit: commits.second });
  });

  it('takes a commit by a short SHA', async () => {
    expect(await fetched({ ref: commits.second.slice(0, 10) })).toMatchObject({
      text: 'two\n',
      commit: commits.second,
    });
  });

  it('takes the exact commit of an event, whatever the branch has become, at depth 1', async () => {
    const { outside, text, commit } = await fetched({ ref: 'main', commit: commits.first });
    expect({ text, commit }).toEqual({ text: 'one\n', commit: commits.first });
    expect(await readFile(join(outside.work.source, '.git/shallow'), 'utf8')).toBe(`${commits.first}\n`);
  });

  it('takes the commit that an annotated tag’s own id stands for', async () => {
    const tag = await repository.git('rev-parse', 'v1');
    expect(tag).not.toBe(commits.second);
    expect(await fetched({ ref: 'v1', commit: tag })).toMatchObject({ commit: commits.second });
  });

  it('says so when the commit is not there any more', async () => {
    const gone = 'dead'.repeat(10);
    await expect(fetched({ ref: 'main', commit: gone })).rejects.toThrow(`The repository has no commit ${gone}`);
  });

  it.each(['nowhere', 'abcdef1', 'refs/heads/nowhere', '1234'])('says so when there is no %s', async (ref) => {
    await expect(fetched({ ref })).rejects.toThrow(`no branch, tag or commit ${ref}`);
  });

  it('says what Git says when the repository cannot be read', async () => {
    await expect(fetched({ repoUrl: 'file:///nowhere/at-all' })).rejects.toThrow(
      /^The source cannot be fetched: fatal: '\/nowhere\/at-all' does not appear to be a git repository/,
    );
  });

  it('takes nothing from a transport that is not allowed', async () => {
    await expect(fetched({}, [])).rejects.toThrow("transport 'file' not allowed");
    await expect(fetched({ repoUrl: 'http://127.0.0.1:9/x.git' })).rejects.toThrow("transport 'http' not allowed");
  });

  it('leaves no credential folder, and runs no hook of the template', async () => {
    const { outside } = await fetched({});
    expect((await readdir(outside.work.root)).sort()).toEqual(['source', 'state.json']);
    expect(await readdir(join(outside.work.source, '.git'))).not.toContain('hooks');
  });

  it('tells how long it took', async () => {
    const { phases } = await fetched({});
    expect(phases).toEqual([{ name: 'fetch', seconds: expect.any(Number) }]);
  });
});

describe('a server that gives no commit by its id (protocol 0)', () => {
  const old = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'protocol.version', GIT_CONFIG_VALUE_0: '0' };

  async function fetchedFrom(folder: Repository, source: Partial<SourceSpec>) {
    const spec = sourceSpec({ repoUrl: folder.url, ...source });
    const work = { kind: 'bundle', source: spec, bundle: { output: '.' } } as const;
    const outside = await makeOutside(work, { environment: old });
    made.push(outside);
    await fetchSource(outside, spec);
    return { outside, commit: (await outside.state()).source?.commit };
  }

  it('is asked for more of the ref', async () => {
    const { outside, commit } = await fetchedFrom(repository, { ref: 'main', commit: commits.first });
    expect(commit).toBe(commits.first);
    expect(outside.lines).toContain('The server gives no commit by its id alone: fetching the history');
  });

  it('is asked for everything when the ref does not lead to the commit', async () => {
    const { commit } = await fetchedFrom(repository, { ref: 'v1', commit: commits.side });
    expect(commit).toBe(commits.side);
  });

  it('is asked for everything when the commit lies deep and the ref is gone', async () => {
    const deep = await makeSource();
    const first = await deep.git('rev-parse', 'HEAD');
    for (let i = 0; i < 60; i++) await deep.git('commit', '--quiet', '--allow-empty', '--message=Empty');
    expect((await fetchedFrom(deep, { ref: 'main', commit: first })).commit).toBe(first);
    expect((await fetchedFrom(deep, { ref: 'removed-branch', commit: first })).commit).toBe(first);
    await deep.remove();
  });
});

describe('hostile input', () => {
  const spec = (source: Partial<SourceSpec>) =>
    JSON.stringify({
      buildId: 'b1',
      app: 'web',
      deploymentId: 'd1',
      timeoutSeconds: 60,
      work: {
        kind: 'bundle',
        source: sourceSpec({ repoUrl: 'https://host.example/a', ...source }),
        bundle: { output: '.' },
      },
    });

  it.each([
    { repoUrl: '--upload-pack=touch /tmp/x' },
    { repoUrl: '-oProxyCommand=touch x' },
    { repoUrl: 'ext::sh -c touch% /tmp/x' },
    { repoUrl: 'ssh://-oProxyCommand=touch/x' },
    { repoUrl: 'https://user:password@host.example/a' },
    { repoUrl: 'https://host.example/a\n--upload-pack=x' },
    { ref: '--upload-pack=touch /tmp/x' },
    { ref: '-x' },
    { ref: 'main\nother' },
    { ref: 'a..b' },
    { ref: 'main:refs/heads/x' },
    { ref: '' },
    { commit: 'HEAD' },
    { commit: '--help' },
    { hostKeys: ['host ssh-ed25519 AAAA\n* ssh-rsa BBBB'] },
  ])('is refused before Git sees it: %j', (source) => {
    expect(() => parseBuildSpec(spec(source))).toThrow(expect.objectContaining({ name: 'Problem', kind: 'invalid' }));
  });

  it('takes what is harmless', () => {
    expect(parseBuildSpec(spec({ ref: 'feature/äöü', commit: 'a'.repeat(40) }))).toMatchObject({ app: 'web' });
  });
});

describe('a Git command', () => {
  const url = parseRepoUrl('https://host.example/a/b');
  if (!url) throw new Error('it is a URL');

  it('turns off all by which a repository or a configuration could start a program', () => {
    const { file, args, env } = gitCommand(['fetch', '--', 'x'], { cwd: '/w', env: { A: 'b' } });
    expect([file, env]).toEqual(['git', { A: 'b' }]);
    expect(args.slice(-3)).toEqual(['fetch', '--', 'x']);
    for (const setting of [
      'core.hooksPath=/dev/null',
      'core.fsmonitor=false',
      'credential.helper=',
      'protocol.ext.allow=never',
    ]) {
      expect(args[args.indexOf(setting) - 1]).toBe('-c');
    }
  });

  it('may use the URL’s own transport, and those that the cloud allows', () => {
    expect(gitEnvironment({}, url, [])['GIT_ALLOW_PROTOCOL']).toBe('https');
    expect(gitEnvironment({}, url, ['file'])['GIT_ALLOW_PROTOCOL']).toBe('https:file');
    expect(gitEnvironment({}, { ...url, transport: 'http' }, [])['GIT_ALLOW_PROTOCOL']).toBe('');
  });
});
