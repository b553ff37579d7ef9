import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { folderSecrets } from '../../local/secrets.ts';
import type { BuildRequest } from '../../functions/ports/builder.ts';
import type { SourceSpec } from '../../functions/builds/spec.ts';
import { localBuilder } from '../../local/builder.ts';
import { findMarks } from '../../local/process-tree.ts';
import { bundleFiles, bundleRequest, makeBuilds, makeSource, wholeLog } from '../support/builds.ts';
import type { Builds, Repository } from '../support/builds.ts';
import { makeKeyPair, sshdMissing, startSshd, type KeyPair, type Sshd } from '../support/sshd.ts';

const missing = await sshdMissing();
const secret = 'apps/web/deploy-key';

describe.skipIf(missing !== undefined)(`Git over SSH${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let builds: Builds;
  let source: Repository;
  let key: KeyPair;
  let sshd: Sshd;
  const commits = { first: '', second: '' };
  beforeAll(async () => {
    builds = await makeBuilds();
    source = await makeSource();
    commits.first = await source.git('rev-parse', 'HEAD');
    commits.second = await source.commit({ 'app.txt': 'two\n' });
    key = await makeKeyPair();
    sshd = await startSshd({ authorized: key });
    await secrets().write(secret, key.privateKey);
  });
  beforeEach(async () => await sshd.open());
  afterAll(async () => {
    await sshd.close();
    await builds.remove();
    await source.remove();
  });

  const secrets = () => folderSecrets({ folder: join(builds.data, 'secrets'), newId: () => crypto.randomUUID() });
  const wish = (overrides: Partial<SourceSpec> = {}, more: { command?: string; timeoutSeconds?: number } = {}) => {
    const { command, ...spec } = more;
    const from = { repoUrl: sshd.urlOf(source.folder), credential: { kind: 'ssh-key', secret }, ...overrides } as const;
    return bundleRequest(from, command === undefined ? {} : { command }, spec);
  };
  /** What of the key must be nowhere: its lines, and their base64. */
  const keyForms = () => {
    const lines = key.privateKey.split('\n').filter((line) => line.length > 20 && !line.startsWith('-----'));
    return [...lines, ...lines.map((line) => Buffer.from(line).toString('base64').slice(0, 24))];
  };
  const expectNoKey = (text: string) => {
    expect(keyForms().filter((form) => text.includes(form))).toEqual([]);
    expect(text).not.toContain('PRIVATE KEY');
  };
  const credentialOf = (buildId: string) => join(builds.data, 'work/builds', buildId, 'credential');
  const expectGone = async (buildId: string) => {
    expect(await readdir(join(builds.data, 'work/builds'))).toEqual([]);
    expect(await findMarks(`${builds.options.dataFolderId}/build/`)).toEqual([]);
    for (const name of await readdir(join(builds.data, 'builds', buildId))) {
      expectNoKey(await readFile(join(builds.data, 'builds', buildId, name), 'utf8'));
    }
  };
  /** Starts a build and returns when its ssh has been let in and waits at the server's shut gate. */
  async function heldAtClone(
    wanted: BuildRequest,
    start = async (request: BuildRequest) => await builds.builder.start(request),
  ): Promise<void> {
    await sshd.shut();
    const before = await sshd.calls();
    await start(wanted);
    while ((await sshd.calls()) === before) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  it('clones with the deploy key, which is a 0600 file while Git runs and in nobody’s arguments or environment', async () => {
    const wanted = wish({}, { command: 'env > environment; ls -a .. > beside; ls -a > inside' });
    await heldAtClone(wanted);
    const folder = credentialOf(wanted.spec.buildId);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder, 'key'))).mode & 0o777).toBe(0o600);
    expect(await readFile(join(folder, 'key'), 'utf8')).toBe(key.privateKey);
    if (process.platform === 'linux') {
      const seen = await processesOf(`${builds.options.dataFolderId}/build/${wanted.spec.buildId}`);
      expect(seen.some((text) => text.includes('IdentityFile'))).toBe(true);
      for (const text of seen) expectNoKey(text);
    }
    await sshd.open();
    const end = await builds.builder.wait(wanted.spec.buildId);
    expect(end).toMatchObject({ status: 'succeeded' });
    const result = JSON.parse(('exported' in end && end.exported['SLUICE_RESULT']) || '{}') as {
      digest: string;
      commit: string;
    };
    expect(result.commit).toBe(commits.second);
    const files = await bundleFiles(builds.data, result.digest);
    expect(files['app.txt']).toBe('two\n');
    expect(files['beside']?.split('\n')).not.toContain('credential');
    expect(files['environment']).not.toMatch(/SSH|IdentityFile/);
    expectNoKey(Object.values(files).join('\n'));
    await expectGone(wanted.spec.buildId);
  });

  it('takes a commit that is no tip, also where the server gives none by its id', async () => {
    const old = await startSshd({ authorized: key, gitProtocol: false });
    for (const repoUrl of [sshd.urlOf(source.folder), old.urlOf(source.folder)]) {
      const { end, text } = await builds.run(wish({ repoUrl, commit: commits.first }));
      expect(end, text).toMatchObject({ status: 'succeeded' });
      expect(JSON.parse(end.exported['SLUICE_RESULT'] ?? '{}')).toMatchObject({ commit: commits.first });
      expect(text.includes('fetching the history')).toBe(repoUrl.startsWith(old.urlOf('')));
    }
    await old.close();
  });

  it('accepts a host key once, remembers it, and refuses another one later', async () => {
    const server = await startSshd({ authorized: key });
    const repoUrl = server.urlOf(source.folder);
    const remembered = async () => (await readFile(join(builds.data, 'known_hosts'), 'utf8')).split('\n');
    expect((await builds.run(wish({ repoUrl }))).end.status).toBe('succeeded');
    expect((await remembered()).filter((line) => line === server.pin())).toHaveLength(1);
    expect((await builds.run(wish({ repoUrl }))).end.status).toBe('succeeded');
    expect((await remembered()).filter((line) => line === server.pin())).toHaveLength(1);
    await server.restart();
    const { end } = await builds.run(wish({ repoUrl }));
    expect(end).toMatchObject({
      status: 'failed',
      reason: expect.stringContaining('Host key verification failed') as string,
    });
    await server.close();
  });

  it('accepts nothing but the app’s own pins where there are some', async () => {
    const server = await startSshd({ authorized: key });
    const repoUrl = server.urlOf(source.folder);
    const known = await readFile(join(builds.data, 'known_hosts'), 'utf8').catch(() => '');
    expect((await builds.run(wish({ repoUrl, hostKeys: [server.pin()] }))).end.status).toBe('succeeded');
    await server.restart();
    const other = server.pin();
    await server.restart();
    const ofAnotherHost = server.pin().replace('127.0.0.1', 'elsewhere.example');
    for (const pin of [other, ofAnotherHost]) {
      const { end } = await builds.run(wish({ repoUrl, hostKeys: [pin] }));
      const reason = expect.stringContaining('Host key verification failed') as string;
      expect(end).toMatchObject({ status: 'failed', reason });
    }
    expect(await readFile(join(builds.data, 'known_hosts'), 'utf8').catch(() => '')).toBe(known);
    await server.close();
  });

  it('does not lose remembered keys when many builds begin at once', async () => {
    const servers = await Promise.all([1, 2, 3, 4].map(async () => await startSshd({ authorized: key })));
    const ends = await Promise.all(
      servers.map(async (server) => (await builds.run(wish({ repoUrl: server.urlOf(source.folder) }))).end.status),
    );
    expect(ends).toEqual(servers.map(() => 'succeeded'));
    const known = (await readFile(join(builds.data, 'known_hosts'), 'utf8')).split('\n');
    for (const server of servers) {
      expect(known).toContain(server.pin());
      await server.close();
    }
  });

  it('says so when the key is not let in, and removes it', async () => {
    const stranger = await makeKeyPair();
    await secrets().write('apps/web/other-key', stranger.privateKey);
    const wanted = wish({ credential: { kind: 'ssh-key', secret: 'apps/web/other-key' } });
    const { end } = await builds.run(wanted);
    expect(end).toMatchObject({ status: 'failed', reason: expect.stringContaining('Permission denied') as string });
    await expectGone(wanted.spec.buildId);
  });

  it('uses no key of the machine when the app has none', async () => {
    const { end } = await builds.run(wish({ credential: { kind: 'none' } }));
    expect(end).toMatchObject({ status: 'failed', reason: expect.stringContaining('Permission denied') as string });
  });

  it('says so when there is no such secret', async () => {
    const { end } = await builds.run(wish({ credential: { kind: 'ssh-key', secret: 'apps/web/none' } }));
    expect(end).toMatchObject({ status: 'failed', reason: 'There is no secret apps/web/none' });
  });

  it('removes the key when the clone fails', async () => {
    const wanted = wish({ repoUrl: sshd.urlOf('/nowhere/at-all') });
    expect((await builds.run(wanted)).end.reason).toContain('does not appear to be a git repository');
    await expectGone(wanted.spec.buildId);
  });

  it('removes the key when the clone takes too long', async () => {
    const wanted = wish({}, { timeoutSeconds: 2 });
    await heldAtClone(wanted);
    expect(await builds.builder.wait(wanted.spec.buildId)).toMatchObject({ status: 'timed_out' });
    await expectGone(wanted.spec.buildId);
  });

  it('removes the key when the build is stopped', async () => {
    const wanted = wish();
    await heldAtClone(wanted);
    await builds.builder.stop(wanted.spec.buildId);
    expect(await builds.builder.observe(wanted.spec.buildId)).toMatchObject({ status: 'stopped' });
    await expectGone(wanted.spec.buildId);
  });

  it('removes the key at a signal by itself, where nobody else cleans up', async () => {
    const work = join(builds.data, 'alone');
    await mkdir(work);
    const agent = async () => {
      const env = {
        ...builds.options.environment,
        SLUICE_SPEC: JSON.stringify(wish().spec),
        SLUICE_WORK: work,
        SLUICE_DATA: builds.data,
      };
      return spawn(process.execPath, [builds.options.agentFile, 'fetch'], { env, stdio: 'ignore' });
    };
    let running: ReturnType<typeof spawn> | undefined;
    await heldAtClone(wish(), async () => void (running = await agent()));
    expect(await readFile(join(work, 'credential/key'), 'utf8')).toBe(key.privateKey);
    const exited = running && once(running, 'exit');
    running?.kill('SIGTERM');
    expect(await exited).toEqual([143, null]);
    expect(await readdir(work)).toEqual(['source']);
  });

  it('removes the key after a kill -9 of the server, when it is started again', async () => {
    const wanted = wish();
    const script = join(builds.data, 'server.ts');
    const { clock: _, log: __, engine: ___, ...options } = builds.options;
    await writeFile(
      script,
      `import { localBuilder } from ${JSON.stringify(join(import.meta.dirname, '../../local/builder.ts'))};
       const quiet = { debug() {}, info() {}, warn() {}, error() {}, with: () => quiet };
       const builder = localBuilder({ ...${JSON.stringify(options)}, engine: async () => undefined, clock: Date.now, log: quiet });
       await builder.start(${JSON.stringify(wanted)});
       setInterval(() => {}, 1000);`,
    );
    let server: ReturnType<typeof spawn> | undefined;
    await heldAtClone(wanted, async () => void (server = spawn(process.execPath, [script], { stdio: 'inherit' })));
    const exited = server && once(server, 'exit');
    server?.kill('SIGKILL');
    await exited;
    expect(await readFile(join(credentialOf(wanted.spec.buildId), 'key'), 'utf8')).toBe(key.privateKey);
    const next = localBuilder(builds.options);
    await next.recover();
    expect(await next.observe(wanted.spec.buildId)).toMatchObject({ status: 'interrupted' });
    await expectGone(wanted.spec.buildId);
  });

  it('ends by its time limit when the server never answers', async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const wanted = wish({ repoUrl: `ssh://git@127.0.0.1:${port}/x` }, { timeoutSeconds: 1.5 });
    const { end } = await builds.run(wanted);
    silent.close();
    expect(end.status).toBe('timed_out');
    await expectGone(wanted.spec.buildId);
    expect((await wholeLog(builds.builder, wanted.spec.buildId)).at(-1)?.text).toContain('longer than its limit');
  });
});

/** Arguments and environment of every process of a build. */
async function processesOf(mark: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const texts = await Promise.all(
    pids.map(async (pid) => {
      const read = async (name: string) => await readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '');
      return { environ: await read('environ'), text: `${pid}\n${await read('cmdline')}\n${await read('environ')}` };
    }),
  );
  return texts.filter(({ environ }) => environ.split('\0').includes(`SLUICE_MARK=${mark}`)).map(({ text }) => text);
}
