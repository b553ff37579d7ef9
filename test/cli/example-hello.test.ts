import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, get as request, type IncomingMessage } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import * as v from 'valibot';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { appSchema } from '../../functions/apps/schema.ts';

const example = resolve(import.meta.dirname, '../../examples/hello');
let folder: string;
const children: ChildProcess[] = [];
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'sluice-hello-'))));
afterAll(async () => await rm(folder, { recursive: true, force: true }));
afterEach(() => children.splice(0).forEach((child) => child.kill('SIGKILL')));

type Hello = { readonly url: string; readonly child: ChildProcess };

async function start(env: Record<string, string> = {}, cwd = example): Promise<Hello> {
  const port = await freePort();
  const { HELLO_VERSION: _version, HELLO_BROKEN: _broken, ...own } = process.env;
  // Started from elsewhere: it finds its files by its own place.
  const child = spawn(process.execPath, [join(cwd, 'server.mjs')], {
    cwd: folder,
    env: { ...own, PORT: String(port), ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  await once(child.stdout, 'data');
  return { url: `http://127.0.0.1:${port}`, child };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return text;
}

describe('the hello example', () => {
  it('shows its version, to browsers as a page, and counts what it serves', async () => {
    const { url } = await start();
    const version = (await readFile(join(example, 'version.txt'), 'utf8')).trim();
    expect(await (await fetch(url)).json()).toMatchObject({ version, served: 1 });
    const page = await fetch(url, { headers: { accept: 'text/html' } });
    expect(await page.text()).toContain(`<h1>${version}</h1>`);
    await fetch(`${url}/health`);
    expect(await (await fetch(`${url}/count`)).json()).toEqual({ version, served: 3 });
    expect((await fetch(`${url}/constructor`)).status).toBe(404);
    expect((await fetch(url, { method: 'POST' })).status).toBe(405);
  });

  it('is changed and broken by a commit, or broken by its environment', async () => {
    const copy = join(folder, 'copy');
    await cp(example, copy, { recursive: true });
    await writeFile(join(copy, 'version.txt'), '2.0.0\n');
    const changed = await start({}, copy);
    expect(await (await fetch(`${changed.url}/health`)).json()).toEqual({ status: 'ok', version: '2.0.0' });
    await writeFile(join(copy, 'BROKEN'), '');
    expect((await fetch(`${(await start({}, copy)).url}/health`)).status).toBe(503);
    expect((await fetch(`${(await start({ HELLO_BROKEN: 'true' })).url}/health`)).status).toBe(503);
  });

  it('finishes what runs at SIGTERM, over a kept-alive connection as well, and ends with 0', async () => {
    const { url, child } = await start();
    const agent = new Agent({ keepAlive: true });
    const opened = async (path: string) =>
      (await once(request(`${url}${path}`, { agent }), 'response')) as [IncomingMessage];
    const [events] = await opened('/events');
    const stream = textOf(events);
    const slow = opened('/slow?seconds=0.5').then(([response]) => textOf(response));
    await opened('/count').then(([response]) => textOf(response));
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    expect(JSON.parse(await slow)).toMatchObject({ seconds: 0.5 });
    expect(await stream).toMatch(/^data: \{"version":/);
    expect(await exit).toEqual([0, null]);
    agent.destroy();
  });

  it.each(['app.bundle.json', 'app.image.json'])('%s is an app', async (file) => {
    const app = v.parse(appSchema, JSON.parse(await readFile(join(example, file), 'utf8')));
    expect(app.environments[0]).toMatchObject({ name: 'dev', targets: [{ desiredCount: 2, listenPort: 9001 }] });
  });
});
