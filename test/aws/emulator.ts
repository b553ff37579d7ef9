import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe } from 'vitest';
import { testAwsConfig } from '../support/scripted-aws.ts';
import { freePort } from '../support/server.ts';
import { emulatorMissing, findEmulator } from './needs.ts';

/** The account that all its ARNs name. */
export const emulatorAccount = '000000000000';

export type Emulator = {
  readonly endpoint: string;
  /** For any SDK client; `forcePathStyle` is S3's, and ignored by the others. */
  readonly config: typeof testAwsConfig & { readonly endpoint: string; readonly forcePathStyle: true };
  /** What a program needs in its environment for its SDK to speak to the emulator and to nobody else. */
  readonly environment: Readonly<Record<string, string>>;
  /** What it has written so far; for the message of a test that failed. */
  readonly log: () => Promise<string>;
  /** Ends it and starts it anew at the same endpoint, with these settings besides; holds nothing but what it persisted. */
  readonly restart: (settings: Readonly<Record<string, string>>) => Promise<void>;
  readonly close: () => Promise<void>;
};

/**
 * `describe`, skipped where the emulator is absent, and then the reason is in the name: `describeOnEmulator('records',
 * () => recordsSuite('ministack', make))`. Hooks and tests of a skipped suite do not run.
 */
export function describeOnEmulator(name: string, suite: () => void): void {
  const reason = emulatorMissing ? ` (${emulatorMissing})` : '';
  describe.skipIf(emulatorMissing !== undefined)(`${name}${reason}`, () => {
    suite();
  });
}

/** Its settings as a whole, as it takes them: in its environment. */
type Settings = Readonly<Record<string, string>>;

/**
 * Starts an emulator of its own on a free port of the loopback, its files in a folder of its own; undefined where there
 * is none. `settings` are added to its environment: `AUTH=true` makes it check signatures and enforce IAM,
 * `PERSIST_STATE=1` keep what it holds over a restart.
 */
export async function startEmulator(settings: Settings = {}): Promise<Emulator | undefined> {
  const program = findEmulator();
  if (!program) return undefined;
  const folder = await mkdtemp(join(tmpdir(), 'sluice-emulator-'));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const start = async (more: Settings) =>
    await startProcess(program, { folder, endpoint, environment: { ...ownSettings(folder, port), ...more } });
  let running = await start(settings);
  return {
    endpoint,
    config: { ...testAwsConfig, endpoint, forcePathStyle: true },
    environment: clientEnvironment(endpoint),
    log: async () => await readFile(logOf(folder), 'utf8'),
    async restart(more) {
      await running.stop();
      running = await start({ ...settings, ...more });
    },
    async close() {
      await running.stop();
      await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

type Running = { readonly stop: () => Promise<void> };

async function startProcess(
  program: string,
  given: { readonly folder: string; readonly endpoint: string; readonly environment: Settings },
): Promise<Running> {
  const { folder, endpoint, environment } = given;
  const log = await open(logOf(folder), 'a');
  // A group of its own, for what it starts itself (a Node process for each function) is to end with it; and all of it
  // ends when the pipe closes, which it does however these tests end.
  const child = spawn('/bin/sh', ['-c', '(cat <&3 >/dev/null; kill -TERM 0) & exec "$0"', program], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', log.fd, log.fd, 'pipe'],
    env: { ...environment },
  });
  await log.close();
  const endWithUs = () => signalGroup(child, 'SIGKILL');
  process.once('exit', endWithUs);

  async function stop(): Promise<void> {
    process.off('exit', endWithUs);
    const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
    signalGroup(child, 'SIGTERM');
    await Promise.race([exited, sleep(15_000, undefined, { ref: false })]);
    signalGroup(child, 'SIGKILL');
    await exited;
  }

  try {
    await untilHealthy(endpoint, child);
  } catch (cause) {
    await stop();
    const told = await readFile(logOf(folder), 'utf8').catch(() => '');
    throw new Error(`The emulator did not start:\n${told.slice(-2000)}`, { cause });
  }
  return { stop };
}

function logOf(folder: string): string {
  return join(folder, 'log');
}

/** Nothing of this process's environment but a PATH, on which `node` is the Node that runs the tests. */
function ownSettings(folder: string, port: number): Settings {
  return {
    PATH: [dirname(process.execPath), '/usr/local/bin', '/usr/bin', '/bin'].join(delimiter),
    HOME: folder,
    TMPDIR: folder,
    STATE_DIR: join(folder, 'state'),
    S3_DATA_DIR: join(folder, 's3'),
    BIND_HOST: '127.0.0.1',
    GATEWAY_PORT: String(port),
    // In the addresses it tells; an API's is a name below it, which an address cannot have.
    MINISTACK_HOST: 'localhost',
    MINISTACK_REGION: testAwsConfig.region,
    MINISTACK_ACCOUNT_ID: emulatorAccount,
    // Their ports are fixed, and two emulators may run.
    IOT_MTLS_ENABLED: '0',
    SFTP_ENABLED: '0',
  };
}

function clientEnvironment(endpoint: string): Record<string, string> {
  const { region, credentials } = testAwsConfig;
  return {
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}

async function untilHealthy(endpoint: string, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('It ended by itself');
    const answer = await fetch(`${endpoint}/_ministack/health`, { signal: AbortSignal.timeout(2000) }).catch(() => {});
    if (answer?.ok) return;
    await sleep(100);
  }
  throw new Error('It was not healthy within 30 s');
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The whole group has ended already.
  }
}
