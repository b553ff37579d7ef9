import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import type { BuildView } from '../../functions/api/build-shapes.ts';
import type { AppInput } from '../../functions/apps/schema.ts';
import { startTestServer, testToken, type TestServer } from '../support/server.ts';

const launcher = fileURLToPath(new URL('../../bin/sluice.mjs', import.meta.url));

/** A server of its own with an app whose images are built elsewhere, and a folder for them. */
export async function startBuildsService() {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  const server = await startTestServer({ env: { LOG_LEVEL: 'error', SLUICE_RATE_PER_MINUTE: '1000000' } });
  await server.apply('web', app);
  return {
    folder,
    server,
    /** The build's id. */
    create: async () => String((await call<BuildView>(server, 'build', { repo: 'dev', 'app-id': 'web' })).id),
    purge: async (build: string) => void (await call(server, `build/${build}/purge`, {})),
    /** The client as people run it, a process of its own. */
    sluice: async (url: string, ...args: readonly string[]) => {
      const { SLUICE_DATA: _data, ...inherited } = process.env;
      const env = { ...inherited, XDG_CACHE_HOME: folder, SLUICE_URL: url, SLUICE_TOKEN: testToken };
      await execa(process.execPath, [launcher, ...args], { cwd: folder, env, extendEnv: false });
    },
    remove: async () => {
      await server.remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Asks the builds service; throws for what it refuses. */
export async function call<T>(server: TestServer, path: string, body: unknown): Promise<T> {
  const answer = await server.api<T>('POST', `/api/v1/${path}`, body);
  if (answer.status !== 200) throw new Error(`${path} was answered with ${answer.status}`);
  return answer.body;
}

/** Nothing of it is ever started: what is measured is how it gets there. */
const app: AppInput = {
  runtime: { command: ['true'] },
  environments: [{ name: 'dev', targets: [{ name: 'web', desiredCount: 0 }] }],
};
