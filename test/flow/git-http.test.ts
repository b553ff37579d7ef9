import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SourceSpec } from '../../functions/builds/spec.ts';
import { folderSecrets } from '../../local/secrets.ts';
import { bundleFiles, bundleRequest, makeBuilds, makeSource, type Builds, type Repository } from '../support/builds.ts';
import { startGitHttp } from '../support/git-http.ts';

const secret = 'apps/web/secrets/git-token';
const token = 'ght_0123456789abcdefghij';

describe('Git over smart HTTP with a token', () => {
  let builds: Builds;
  let source: Repository;
  let server: Awaited<ReturnType<typeof startGitHttp>>;
  const closing: (() => Promise<void>)[] = [];
  beforeAll(async () => {
    builds = await makeBuilds({ gitAllow: ['file', 'http'] });
    source = await makeSource();
    server = await startGitHttp({ root: dirname(source.folder), password: token });
    await folderSecrets({ folder: join(builds.data, 'secrets'), newId: () => crypto.randomUUID() }).write(
      secret,
      token,
    );
  });
  afterAll(async () => {
    for (const close of closing) await close();
    await server.close();
    await builds.remove();
    await source.remove();
  });

  const pathOf = () => `/${source.folder.split('/').at(-1)}`;
  const credential = { kind: 'https-token', secret, username: 'x-access-token' } as const;
  const build = async (spec: Partial<SourceSpec>, more: { command?: string; timeoutSeconds?: number } = {}) => {
    const { command, ...overrides } = more;
    const from = { repoUrl: server.url + pathOf(), credential, ...spec };
    const wanted = bundleRequest(from, command === undefined ? {} : { command }, overrides);
    const ended = await builds.run(wanted);
    const kept = await readFile(join(builds.data, 'builds', wanted.spec.buildId, 'outcome.json'), 'utf8');
    for (const text of [kept, ended.text]) {
      expect(text).not.toContain(token);
      expect(text).not.toContain(Buffer.from(`x-access-token:${token}`).toString('base64').slice(0, 24));
    }
    expect(await readdir(join(builds.data, 'work/builds'))).toEqual([]);
    return ended;
  };

  it('clones what the token opens, at the commit', async () => {
    const commit = await source.git('rev-parse', 'HEAD');
    await source.commit({ 'app.txt': 'two\n' });
    const { end, text } = await build({ commit }, { command: 'env > environment; cat .git/config > config' });
    expect(end, text).toMatchObject({ status: 'succeeded' });
    const result = JSON.parse(end.exported['SLUICE_RESULT'] ?? '{}') as { digest: string; commit: string };
    expect(result.commit).toBe(commit);
    const files = await bundleFiles(builds.data, result.digest);
    expect(files['app.txt']).toBe('one\n');
    expect(`${files['environment']}${files['config']}`).not.toMatch(/ght_|ASKPASS/);
  });

  it('says so when the token is not let in', async () => {
    const other = await startGitHttp({ root: dirname(source.folder), password: 'another' });
    closing.push(other.close);
    const { end } = await build({ repoUrl: other.url + pathOf() });
    expect(end).toMatchObject({ status: 'failed', reason: expect.stringContaining('Authentication failed') as string });
  });

  it('asks no terminal when there is no token', async () => {
    const { end } = await build({ credential: { kind: 'none' } });
    expect(end).toMatchObject({
      status: 'failed',
      reason: expect.stringContaining('terminal prompts disabled') as string,
    });
  });

  it('gives the token to no other server, whoever redirects there', async () => {
    const thief = await startGitHttp({ root: dirname(source.folder), password: 'never' });
    const bait = await startGitHttp({ root: '/', password: '', redirectTo: () => thief.url });
    // With a user in the URL, Git asks for the password alone.
    const user = await startGitHttp({ root: '/', password: '', redirectTo: () => thief.url.replace('//', '//x@') });
    closing.push(thief.close, bait.close, user.close);
    for (const { url } of [bait, user]) expect((await build({ repoUrl: url + pathOf() })).end.status).toBe('failed');
    expect(thief.asked).not.toHaveLength(0);
    expect(thief.asked.filter((request) => request.authorization !== undefined)).toEqual([]);
  });

  it('sends no token over plain http to another machine', async () => {
    const { end } = await build({ repoUrl: 'http://192.0.2.1/a/b' });
    expect(end.reason).toBe('source.repoUrl: expected an https URL: a token is sent over nothing else');
  });

  it('ends by its time limit when the server never answers', async () => {
    const silent = await startGitHttp({ root: '/', password: '', silent: true });
    closing.push(silent.close);
    const { end } = await build({ repoUrl: silent.url + pathOf() }, { timeoutSeconds: 1.5 });
    expect(end.status).toBe('timed_out');
  });
});

describe('the Git remote of this machine itself', () => {
  it('is cloned from its folder, by whatever name of the machine, without asking the server', async () => {
    const source = await makeSource();
    const folder = dirname(source.folder);
    const builds = await makeBuilds({ ownRemote: () => ({ url: 'http://127.0.0.1:9/git/', folder }) });
    const name = source.folder.split('/').at(-1);
    for (const host of ['127.0.0.1', 'localhost']) {
      const { end, text } = await builds.run(bundleRequest({ repoUrl: `http://${host}:9/git/${name}` }));
      expect(end, text).toMatchObject({ status: 'succeeded' });
    }
    const { end } = await builds.run(bundleRequest({ repoUrl: `http://127.0.0.1:9/other/${name}` }));
    expect(end.reason).toContain("transport 'http' not allowed");
    await builds.remove();
    await source.remove();
  });
});
