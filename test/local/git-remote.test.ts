import { mkdtemp, mkdir, readdir, rm, stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../../functions/access/principal.ts';
import { applyApp } from '../../functions/apps/registry.ts';
import { silentLog } from '../../functions/runtime/log.ts';
import { parseHead } from '../../local/git-remote/cgi-head.ts';
import { gitEnvironment, serviceEnvironment } from '../../local/git-remote/environment.ts';
import { pusherWords } from '../../local/git-remote/pusher-words.ts';
import { openRepository, removeDrafts, repositoriesIn, writeHooks } from '../../local/git-remote/repository.ts';
import { routeOf } from '../../local/git-remote/route.ts';
import { gitRemote } from '../../local/git-remote.ts';
import { startHttpServer } from '../../local/http-server.ts';
import { openTestRecords } from '../support/records.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-git-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('routeOf', () => {
  const get = (url: string) => routeOf({ method: 'GET', url });

  it('knows the three endpoints, with and without .git', () => {
    expect(get('/git/web.git/info/refs?service=git-upload-pack')).toEqual({
      app: 'web',
      service: 'git-upload-pack',
      endpoint: 'info/refs',
    });
    expect(get('/git/web/info/refs?service=git-receive-pack')).toMatchObject({
      app: 'web',
      service: 'git-receive-pack',
    });
    expect(routeOf({ method: 'POST', url: '/git/web.git/git-receive-pack' })).toEqual({
      app: 'web',
      service: 'git-receive-pack',
      endpoint: 'git-receive-pack',
    });
  });

  it('lets only the name of an app through, whatever is asked for', () => {
    const part = fc.constantFrom(
      '/',
      '..',
      '.',
      'web',
      '.git',
      '%2e',
      '%2f',
      'info/refs',
      '?service=git-upload-pack',
      '\\',
    );
    const url = fc.array(part, { maxLength: 9 }).map((parts) => `/git/${parts.join('')}`);
    fc.assert(
      fc.property(url, (url) => {
        const route = get(url);
        expect('app' in route ? route.app : 'web').toMatch(/^[a-z][a-z0-9-]*$/);
      }),
    );
  });
});

describe('parseHead', () => {
  it('takes the head of a CGI answer, once it is whole, from its body', () => {
    const whole = 'Status: 404 Not Found\r\nContent-Type: text/plain\r\n\r\nbody\r\n\r\n';
    for (let length = 0; length < whole.indexOf('\r\n\r\n') + 4; length++) {
      expect(parseHead(Buffer.from(whole.slice(0, length)))).toBeUndefined();
    }
    const head = parseHead(Buffer.from(whole));
    expect(head).toMatchObject({ status: 404, headers: { 'content-type': 'text/plain' } });
    expect(head?.rest.toString()).toBe('body\r\n\r\n');
    expect(parseHead(Buffer.from('a: b\n\n'))).toMatchObject({ status: 200, headers: { a: 'b' } });
  });
});

describe('the repositories', () => {
  const git = gitEnvironment(process.env);

  it('are made once, bare, with main as their branch, however many want one at once', async () => {
    const made = await Promise.all(Array.from({ length: 5 }, () => openRepository({ folder, app: 'web', git })));
    expect(new Set(made)).toEqual(new Set([join(folder, 'web.git')]));
    expect(await readdir(folder)).toEqual(['web.git']);
    expect(await repositoriesIn(folder)).toEqual(['web']);
  });

  it('are not half there when the server was killed while making one', async () => {
    await mkdir(join(folder, '.new-abc', 'refs'), { recursive: true });
    await removeDrafts(folder);
    expect(await readdir(folder)).toEqual(['web.git']);
    await removeDrafts(join(folder, 'nowhere'));
    expect(await repositoriesIn(join(folder, 'nowhere'))).toEqual([]);
  });

  it('share one hook, which only its owner can read and run', async () => {
    const hooks = await writeHooks(folder);
    expect(await writeHooks(folder)).toBe(hooks);
    expect((await stat(join(hooks, 'post-receive'))).mode & 0o777).toBe(0o700);
    expect((await readdir(folder)).sort()).toEqual(['hooks', 'web.git']);
  });
});

describe('the environment of Git', () => {
  it('holds nothing of the environment of the server but what Git needs', () => {
    const environment = gitEnvironment({
      PATH: '/bin',
      HOME: '/root',
      GIT_DIR: '/x',
      SLUICE_ADMIN_TOKEN: 'x',
      NODE_OPTIONS: '-x',
    });
    expect(Object.keys(environment).sort()).toEqual([
      'GIT_CONFIG_GLOBAL',
      'GIT_CONFIG_NOSYSTEM',
      'GIT_TERMINAL_PROMPT',
      'LC_ALL',
      'PATH',
    ]);
  });

  it('takes of a request what CGI has a place for, and no length', () => {
    const request = {
      method: 'POST',
      headers: { 'content-length': '5', 'content-type': 'a/b', 'git-protocol': 'version=2; $(touch x)', proxy: 'x' },
      socket: {},
    } as unknown as IncomingMessage;
    const route = { app: 'web', service: 'git-receive-pack', endpoint: 'git-receive-pack' } as const;
    const hook = { url: 'http://x', secret: 's', app: 'web', pusher: 'ann' };
    const settings = { git: {}, folder: '/d', repository: '/d/web.git', hooks: '/d/hooks', hook, maxBytes: 7 };
    const env = serviceEnvironment(route, request, settings);
    expect(env).toMatchObject({ CONTENT_TYPE: 'a/b', GIT_PROTOCOL: '', PATH_INFO: '/web.git/git-receive-pack' });
    expect(Object.keys(env)).not.toContain('CONTENT_LENGTH');
    expect(Object.keys(env)).not.toContain('HTTP_PROXY');
  });
});

describe('pusherWords', () => {
  it('tells of a push that was seen before', () => {
    const change = { ref: 'refs/heads/main', before: 'a', after: 'b' };
    const deployments = [{ id: '1', app: 'web', environment: 'dev' }];
    const told = { kind: 'told', message: 'This push was seen before.', deployments } as const;
    expect(pusherWords(told, { change, app: 'web', url: 'http://x', cloneUrl: 'http://x/git/web.git' })).toEqual([
      'Sluice: This push was seen before.',
      'Sluice: main → web/dev: deployment 1',
      'Sluice:   sluice follow 1',
      'Sluice:   http://x/api/v1/deployments/1',
    ]);
  });
});

describe('the Git remote without Git', () => {
  it('says that there is none', async () => {
    const { records, close } = await openTestRecords();
    const policy = {
      source: { allowFile: true, ownRemote: undefined },
      fetch: { allowPrivateHosts: false, maxBytes: 1 },
    };
    const input = { environments: [{ name: 'dev', targets: [{ name: 'web' }] }] };
    await applyApp({ records, clock: () => 1, policy }, { id: 'api', input });
    const remote = gitRemote({
      data: folder,
      authenticate: async (token) => (token === 'a-token' ? root : undefined),
      webhookSecret: 's',
      records,
      log: silentLog,
      clock: () => 1,
      newId: () => 'one',
      url: () => '',
      environment: { PATH: join(folder, 'no-programs') },
    });
    const server = await startHttpServer({
      host: '127.0.0.1',
      port: 0,
      log: silentLog,
      fetch: () => new Response(),
      first: (request, response) => {
        void remote.handle(request, response);
        return true;
      },
    });
    const url = `${server.url}/git/api.git/info/refs?service=git-upload-pack`;
    const response = await fetch(url, { headers: { authorization: 'Bearer a-token' } });
    expect([response.status, await response.text()]).toEqual([503, 'Git is not installed where Sluice runs.\n']);
    await server.close(100);
    await close();
  });
});
