import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeploymentView, EnvironmentView } from '../../functions/api/shapes.ts';
import type { AppInput } from '../../functions/apps/schema.ts';

export const testToken = 'a-token-for-tests-only';
export const testWebhookSecret = 'a-webhook-secret-for-tests';
const root = new URL('../../', import.meta.url);
const startLimitMs = 30_000;
const endLimitMs = 90_000;

export type TestServer = Awaited<ReturnType<typeof startTestServer>>;

/** The real server as a process of its own, on a data folder that can outlive it. */
export async function startTestServer(options: { data?: string; env?: Record<string, string> } = {}) {
  const data = options.data ?? (await mkdtemp(join(tmpdir(), 'sluice-server-')));
  const child = spawn(process.execPath, ['local/main.ts'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: process.env['HOME'] ?? '',
      PORT: '0',
      SLUICE_DATA: data,
      SLUICE_ADMIN_TOKEN: testToken,
      SLUICE_WEBHOOK_SECRET: testWebhookSecret,
      SLUICE_ENGINE: 'process',
      // Tests ask as fast as they can, all by one token.
      SLUICE_RATE_PER_MINUTE: '1000000',
      LOG_LEVEL: 'info',
      ...options.env,
    },
  });
  const output = collect(child);
  const url = await readyUrl(child, output);
  // The caller says what it expects to get, as the test's assertions show whether it did.
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters
  const api = async <T>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${testToken}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: (text ? JSON.parse(text) : undefined) as T };
  };
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;

  return {
    url,
    data,
    child,
    /** Standard output and error so far. */
    output: () => output.text,
    api,
    apply: async (id: string, app: AppInput) => must(await api('PUT', `/api/v1/apps/${id}`, app), [200, 201]),
    deploy: async (body: Record<string, unknown>): Promise<DeploymentView> =>
      must(await api<DeploymentView>('POST', '/api/v1/deployments', body), [202]),
    deployment: async (id: string): Promise<DeploymentView> =>
      must(await api<DeploymentView>('GET', `/api/v1/deployments/${id}`), [200]),
    environment: async (app: string, name: string): Promise<EnvironmentView> =>
      must(await api<EnvironmentView>('GET', `/api/v1/apps/${app}/environments/${name}`), [200]),
    /** Follows a deployment by its events until it has ended. */
    ended: async (id: string): Promise<DeploymentView> => {
      const deadline = Date.now() + endLimitMs;
      for (let after = '0'; ;) {
        const { body } = await api<{ next: string; done: boolean }>(
          'GET',
          `/api/v1/deployments/${id}/events?after=${after}&wait=5`,
        );
        if (body.done) return must(await api<DeploymentView>('GET', `/api/v1/deployments/${id}`), [200]);
        after = body.next;
        if (Date.now() > deadline) throw new Error(`The deployment ${id} did not end:\n${output.text.slice(-4000)}`);
      }
    },
    /** SIGTERM, and its exit code. */
    stop: async (): Promise<number | null> => {
      child.kill('SIGTERM');
      return (await ended)[0];
    },
    /** kill -9. */
    kill: async (): Promise<void> => {
      child.kill('SIGKILL');
      await ended;
    },
    /** Stops it if it runs, and removes its data. */
    remove: async (): Promise<void> => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        await ended;
      }
      await rm(data, { recursive: true, force: true });
    },
  };
}

/** A loopback port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function must<T>(answer: { status: number; body: T }, expected: readonly number[]): T {
  if (expected.includes(answer.status)) return answer.body;
  throw new Error(`Expected ${expected.join(' or ')}, got ${answer.status}: ${JSON.stringify(answer.body)}`);
}

function collect(child: ChildProcess): { text: string } {
  const output = { text: '' };
  const add = (chunk: Buffer) => {
    output.text += chunk.toString();
  };
  child.stdout?.on('data', add);
  child.stderr?.on('data', add);
  return output;
}

async function readyUrl(child: ChildProcess, output: { text: string }): Promise<string> {
  const deadline = Date.now() + startLimitMs;
  for (;;) {
    const found = /Sluice is ready on (http:\/\/\S+)/.exec(output.text)?.[1];
    if (found) return found;
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`The server did not start:\n${output.text}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
