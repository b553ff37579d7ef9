import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AppInput } from '../../functions/apps/schema.ts';
import { makeRepository } from '../support/git-repo.ts';
import { until } from '../support/scripted-cloud.ts';
import { freePort, startTestServer, type TestServer } from '../support/server.ts';
import { sshdMissing, startSshd, type Sshd } from '../support/sshd.ts';
import { webApp, webFiles } from '../support/web-app.ts';

const missing = await sshdMissing();

describe.skipIf(missing !== undefined)(`a private repository${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let server: TestServer;
  let sshd: Sshd;
  let repo: Awaited<ReturnType<typeof makeRepository>>;
  let app: AppInput;
  let port: number;
  const commits: string[] = [];
  const outputs: string[] = [];
  let made: { status: number; publicKey: string };

  beforeAll(async () => {
    [server, repo, port] = await Promise.all([startTestServer(), makeRepository(), freePort()]);
    for (const version of ['one', 'two', 'three']) commits.push(await repo.commit(webFiles({ version })));
    // The key is asked for first: its public half is what a person gives to the host of the repository.
    const unknown = webApp({ repoUrl: 'ssh://git@127.0.0.1:1/x.git', listenPort: port });
    const credential = { kind: 'ssh-key' } as const;
    await server.apply('web', { ...unknown, source: { ...unknown.source!, credential } });
    const { status, body } = await server.api<{ publicKey: string }>('POST', '/api/v1/apps/web/deploy-key');
    made = { status, publicKey: body.publicKey };
    sshd = await startSshd({ authorized: { publicKey: body.publicKey, privateKey: '' } });
    app = { ...unknown, source: { repoUrl: sshd.urlOf(repo.folder), credential } };
    await server.apply('web', app);
  });
  afterAll(async () => {
    outputs.push(server.output());
    await sshd.close();
    await repo.remove();
    await server.remove();
  });

  const deploy = async (ref: string) => await server.deploy({ app: 'web', environment: 'dev', source: { ref } });
  const live = async () => await (await fetch(`http://127.0.0.1:${port}/`)).text();
  /** The lines of the private half, as it lies among the secrets. */
  const keyLines = async () => {
    const folder = join(server.data, 'secrets', 'apps', 'web', 'deploy-key', '.versions');
    const [version] = await readdir(folder);
    const text = await readFile(join(folder, version ?? ''), 'utf8');
    return text.split('\n').filter((line) => line.length > 20 && !line.startsWith('-----'));
  };

  it('gets a deploy key, of which only the public half is shown', () => {
    expect(made).toMatchObject({
      status: 201,
      publicKey: expect.stringMatching(/^ssh-ed25519 \S+ sluice-web$/) as string,
    });
  });

  it('is cloned by the deploy key of the registry, at a commit that is not a tip', async () => {
    const done = await server.ended((await deploy(commits[0] ?? '')).id);
    expect(done).toMatchObject({ status: 'succeeded', commit: commits[0] });
    expect(await live()).toBe('one');
    expect(await readFile(join(server.data, 'known_hosts'), 'utf8')).toContain('ssh-ed25519');
  });

  it('goes on after a kill -9 in the middle of the clone, and no key file is left', async () => {
    await sshd.shut();
    const before = await sshd.calls();
    const { id } = await deploy(commits[1] ?? '');
    await until(
      async () => await sshd.calls(),
      (calls) => calls > before,
    );
    await server.kill();
    outputs.push(server.output());
    server = await startTestServer({ data: server.data });
    await sshd.open();
    expect(await server.ended(id)).toMatchObject({ status: 'succeeded', build: { id: `${id}-2` } });
    expect(await live()).toBe('two');
    expect(await readdir(join(server.data, 'work', 'builds'))).toEqual([]);
  });

  it('is refused once its key is rotated away, with a reason that shows no key', async () => {
    const old = await keyLines();
    expect((await server.api('POST', '/api/v1/apps/web/deploy-key')).status).toBe(201);
    const done = await server.ended((await deploy(commits[2] ?? '')).id);
    expect(done.status).toBe('failed');
    for (const line of old) expect(JSON.stringify(done)).not.toContain(line);
    expect(await live()).toBe('two');
  });

  it('has its key in no log, event, answer or file but the secret itself', async () => {
    const lines = await keyLines();
    expect(lines.length).toBeGreaterThan(3);
    const { body } = await server.api<{ items: { id: string }[] }>('GET', '/api/v1/deployments');
    for (const { id } of body.items) {
      outputs.push(JSON.stringify(await server.deployment(id)));
      for (const build of [id, `${id}-2`])
        outputs.push(JSON.stringify((await server.api('GET', `/api/v1/build/${build}/logs`)).body));
    }
    outputs.push(server.output());
    for (const line of lines) expect(outputs.some((output) => output.includes(line))).toBe(false);
    const files = await readdir(server.data, { recursive: true, withFileTypes: true });
    for (const file of files.filter(
      (entry) => entry.isFile() && !entry.parentPath.includes(join('secrets', 'apps', 'web', 'deploy-key')),
    )) {
      const text = await readFile(join(file.parentPath, file.name), 'latin1');
      for (const line of lines) expect(text.includes(line), join(file.parentPath, file.name)).toBe(false);
    }
  });
});
