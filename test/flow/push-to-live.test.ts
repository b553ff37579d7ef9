import { createHmac } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AppInput } from '../../functions/apps/schema.ts';
import type { LogView } from '../../functions/api/shapes.ts';
import { dataIdOf } from '../../local/data-id.ts';
import { findMarks } from '../../local/process-tree.ts';
import { makeRepository } from '../support/git-repo.ts';
import { freePort, startTestServer, testToken, testWebhookSecret, type TestServer } from '../support/server.ts';
import { until } from '../support/scripted-cloud.ts';
import { webApp, webFiles } from '../support/web-app.ts';

let server: TestServer;
let repo: Awaited<ReturnType<typeof makeRepository>>;
let port: number;
let ingressPort: number;
const live = async (path = '/') => await (await fetch(`http://127.0.0.1:${port}${path}`)).text();
/** What the shared ingress answers to that host name. */
const byHost = async (host: string) =>
  await new Promise<{ status: number; text: string }>((resolve, reject) => {
    get({ host: '127.0.0.1', port: ingressPort, headers: { host }, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    }).on('error', reject);
  });
const remoteOf = (url: string) => url.replace('http://', `http://git:${testToken}@`) + '/git/web.git';
const pushed = (output: string) => /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(output)?.[0] ?? '';

const longBuild = (repoUrl: string): AppInput => ({
  source: { repoUrl },
  build: { kind: 'bundle', command: 'echo sleeping; sleep 600' },
  runtime: { command: ['true'] },
  environments: [{ name: 'dev', targets: [{ name: 'web', desiredCount: 0 }] }],
});
const logged = async (buildId: string, text: string) =>
  await until(
    async () => (await server.api<LogView>('GET', `/api/v1/build/${buildId}/logs`)).body.lines ?? [],
    (lines) => lines.some((line) => line.text === text),
  );

beforeAll(async () => {
  [repo, port, ingressPort] = await Promise.all([makeRepository(), freePort(), freePort()]);
  server = await startTestServer({ env: { SLUICE_INGRESS_PORT: String(ingressPort) } });
  const app = webApp({ repoUrl: `${server.url}/git/web.git`, listenPort: port });
  await server.apply('web', {
    ...app,
    environments: app.environments.map((one) => ({ ...one, domains: ['web.example'] })),
  });
});
afterAll(async () => {
  await repo.remove();
  await server.remove();
});

describe('a push', () => {
  it('to the local remote becomes a running service, and the pusher is told where to follow it', async () => {
    const commit = await repo.commit(webFiles({ version: 'one' }));
    const output = await repo.git('push', remoteOf(server.url), 'main');
    const done = await server.ended(pushed(output));
    expect(done).toMatchObject({ status: 'succeeded', commit, trigger: { kind: 'push', ref: 'refs/heads/main' } });
    expect(output).toContain(`sluice follow ${done.id}`);
    expect(await live()).toBe('one');
    expect(await byHost('WEB.example:80')).toEqual({ status: 200, text: 'one' });
    expect((await byHost('other.example')).status).toBeGreaterThanOrEqual(400);
    expect(done.timeline.map(({ kind }) => kind).filter((kind) => kind !== 'target' && kind !== 'build')).toEqual([
      'queued',
      'building',
      'rolling',
      'verifying',
      'succeeded',
    ]);
  });

  it('replaces what runs, and its build can be read afterwards', async () => {
    await repo.commit(webFiles({ version: 'two' }));
    const done = await server.ended(pushed(await repo.git('push', remoteOf(server.url), 'main')));
    expect(done.status).toBe('succeeded');
    expect(await live()).toBe('two');
    const { body } = await server.api<LogView>('GET', `/api/v1/build/${done.build?.id}/logs`);
    expect(body.lines.map(({ text }) => text)).toContain('building version two');
    expect(body.done).toBe(true);
    expect(await readdir(join(server.data, 'work', 'builds'))).toEqual([]);
  });

  it('that does not build changes nothing that runs, and says why', async () => {
    await repo.commit(webFiles({ version: 'bad', behaviour: 'refuses-to-build' }));
    const done = await server.ended(pushed(await repo.git('push', remoteOf(server.url), 'main')));
    expect(done).toMatchObject({ status: 'failed', targets: [{ status: 'waiting' }] });
    expect(done.reason).toContain('nothing that runs was changed');
    expect(await live()).toBe('two');
  });

  it('that never turns healthy is held by the gate, and the old revision keeps its full capacity', async () => {
    await repo.commit(webFiles({ version: 'sick', behaviour: 'unhealthy' }));
    const done = await server.ended(pushed(await repo.git('push', remoteOf(server.url), 'main')));
    expect(done).toMatchObject({ status: 'rolled_back', targets: [{ status: 'reverted' }] });
    expect(done.reason).not.toBe('');
    expect(await live()).toBe('two');
    expect((await server.environment('web', 'dev')).targets[0]).toMatchObject({ runningCount: 2, desiredCount: 2 });
  });

  it('by a signed webhook is deployed once, and a repeated delivery is answered with the same deployment', async () => {
    const commit = await repo.commit(webFiles({ version: 'three' }));
    // A webhook says what GitHub has: here the local remote has it, from a push to a branch nobody follows.
    await repo.git('push', remoteOf(server.url), 'main:refs/heads/elsewhere');
    const payload = JSON.stringify({
      ref: 'refs/heads/main',
      before: '0'.repeat(40),
      after: commit,
      created: false,
      deleted: false,
      forced: false,
      commits: [],
      head_commit: { id: commit },
      pusher: { name: 'ann' },
      repository: {
        full_name: 'ann/web',
        clone_url: `${server.url}/git/web.git`,
        pushed_at: Math.floor(Date.now() / 1000),
      },
    });
    const deliver = async (id: string, secret = testWebhookSecret) =>
      await fetch(`${server.url}/webhooks/github`, {
        method: 'POST',
        body: payload,
        headers: {
          'content-type': 'application/json',
          'x-github-event': 'push',
          'x-github-delivery': id,
          'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(payload).digest('hex')}`,
        },
      });
    expect((await deliver('d-0', 'another secret altogether')).status).toBe(401);
    const answers = await Promise.all(Array.from({ length: 50 }, async () => await deliver('d-1')));
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(49);
    const ids = await Promise.all(
      answers.map(async (answer) =>
        ((await answer.json()) as { deployments: { id: string }[] }).deployments.map(({ id }) => id),
      ),
    );
    expect(new Set(ids.flat()).size).toBe(1);
    expect((await deliver('d-2')).status).toBe(200);
    expect((await server.ended(ids.flat()[0] ?? '')).status).toBe('succeeded');
    expect(await live()).toBe('three');
  });

  it('can be rolled back without a build, and the credentials of the server reach no task', async () => {
    const { body } = await server.api<{ id: string }>('POST', '/api/v1/apps/web/environments/dev/rollback');
    const done = await server.ended(body.id);
    expect(done).toMatchObject({ status: 'succeeded', build: null });
    expect(await live()).toBe('two');
    const env = await live('/env');
    expect(env).not.toContain(testToken);
    expect(env).not.toContain(testWebhookSecret);
  });

  it('is cancelled while it rolls, and what ran goes on', async () => {
    await repo.commit(webFiles({ version: 'sick again', behaviour: 'unhealthy' }));
    const id = pushed(await repo.git('push', remoteOf(server.url), 'main'));
    for (let after = '0'; ;) {
      const { body } = await server.api<{ items: { kind: string }[]; next: string }>(
        'GET',
        `/api/v1/deployments/${id}/events?after=${after}&wait=5`,
      );
      if (body.items.some(({ kind }) => kind === 'rolling')) break;
      after = body.next;
    }
    expect((await server.api('POST', `/api/v1/deployments/${id}/cancel`)).status).toBe(202);
    expect((await server.ended(id)).status).toBe('cancelled');
    expect(await live()).toBe('two');
  });
});

describe('an image', () => {
  it('is refused with a clear reason where no engine runs it', async () => {
    const { id } = await server.deploy({ app: 'web', environment: 'dev', image: 'example/web:1' });
    const done = await server.ended(id);
    expect(done).toMatchObject({ status: 'failed', reason: expect.stringContaining('Docker') as string });
  });
});

describe('a stop', () => {
  it('drains and stops every task, leaves nothing behind, and the next start brings every target back', async () => {
    const dataId = await dataIdOf(server.data);
    expect(await findMarks(`${dataId}/`)).toHaveLength(2);
    expect(await server.stop()).toBe(0);
    await expect(live()).rejects.toThrow('fetch failed');
    expect(await findMarks(`${dataId}/`)).toEqual([]);
    server = await startTestServer({ data: server.data });
    for (const deadline = Date.now() + 15_000; ;) {
      const answer = await live().catch(() => '');
      if (answer === 'two') break;
      expect(Date.now()).toBeLessThan(deadline);
    }
    expect((await server.environment('web', 'dev')).targets[0]).toMatchObject({ desiredCount: 2 });
  });

  it('in the middle of a build ends soon, and the next start makes the build again', async () => {
    await server.apply('long', longBuild(repo.url));
    const { id } = await server.deploy({ app: 'long', environment: 'dev', source: {} });
    await logged(id, 'sleeping');
    expect(await server.stop()).toBe(0);
    server = await startTestServer({ data: server.data });
    await logged(`${id}-2`, 'sleeping');
    expect((await server.api('POST', `/api/v1/deployments/${id}/cancel`)).status).toBe(202);
    expect(await server.ended(id)).toMatchObject({ status: 'cancelled', build: { id: `${id}-2` } });
    expect(await findMarks(`${await dataIdOf(server.data)}/build/`)).toEqual([]);
  });

  it('has kept every secret out of its log', () => {
    expect(server.output()).not.toContain(testToken);
    expect(server.output()).not.toContain(testWebhookSecret);
  });

  it('has written no secret into any file of its data but those for it', async () => {
    const files = await readdir(server.data, { recursive: true, withFileTypes: true });
    const checked = files.filter(
      (file) => file.isFile() && !file.name.startsWith('admin-token') && !file.name.startsWith('webhook-secret'),
    );
    expect(checked.length).toBeGreaterThan(5);
    for (const file of checked) {
      const text = await readFile(join(file.parentPath, file.name), 'latin1');
      expect(text.includes(testToken), file.name).toBe(false);
    }
  });
});
