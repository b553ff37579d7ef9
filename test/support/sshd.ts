import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const program = '/usr/sbin/sshd';

export type KeyPair = { readonly privateKey: string; readonly publicKey: string };

/** Why no OpenSSH server can be run here; undefined when it can. */
export async function sshdMissing(): Promise<string | undefined> {
  const there = async (path: string) =>
    await access(path).then(
      () => true,
      () => false,
    );
  if (!(await there(program))) return `there is no ${program}`;
  // As root, sshd wants an empty folder that the system's service makes at its start, and leaves there.
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { mode: 0o755 }).catch(() => {});
  if (process.getuid?.() === 0 && !(await there('/run/sshd'))) return 'there is no /run/sshd';
  return undefined;
}

export async function makeKeyPair(): Promise<KeyPair> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-key-'));
  const path = join(folder, 'key');
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', path]);
  const pair = { privateKey: await readFile(path, 'utf8'), publicKey: await readFile(`${path}.pub`, 'utf8') };
  await rm(folder, { recursive: true });
  return pair;
}

/**
 * An OpenSSH server on loopback that lets one key in and runs what Git asks for, when its gate is open. Each command
 * leaves a line in `calls`. Protocol 2 of Git needs `GIT_PROTOCOL` to be accepted: without, a server gives no commit by
 * its id.
 */
export async function startSshd(options: { readonly authorized: KeyPair; readonly gitProtocol?: boolean }) {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'sluice-sshd-')));
  const port = await freePort();
  const at = (name: string) => join(folder, name);
  await writeFile(at('authorized'), options.authorized.publicKey);
  await writeFile(at('open'), '');
  await writeFile(
    at('command'),
    `#!/bin/sh\necho call >> '${at('calls')}'\nwhile [ ! -e '${at('open')}' ]; do sleep 0.02; done\nexec sh -c "$SSH_ORIGINAL_COMMAND"\n`,
    { mode: 0o755 },
  );
  await writeFile(
    at('config'),
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${at('host-key')}`,
      `AuthorizedKeysFile ${at('authorized')}`,
      `ForceCommand ${at('command')}`,
      'PidFile none',
      'UsePAM no',
      'StrictModes no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin yes',
      ...(options.gitProtocol === false ? [] : ['AcceptEnv GIT_PROTOCOL']),
    ].join('\n'),
  );
  let server: ChildProcess | undefined;
  let hostKey = '';

  async function stop(): Promise<void> {
    if (!server) return;
    const exited = once(server, 'exit');
    server.kill('SIGTERM');
    await exited;
    server = undefined;
  }
  /** Starts it with a new host key. */
  async function restart(): Promise<void> {
    await stop();
    const pair = await makeKeyPair();
    hostKey = pair.publicKey.split(' ').slice(0, 2).join(' ');
    await writeFile(at('host-key'), pair.privateKey, { mode: 0o600 });
    server = spawn(program, ['-D', '-e', '-f', at('config')], { stdio: ['ignore', 'ignore', 'pipe'] });
    for await (const text of server.stderr ?? []) if (String(text).includes('Server listening')) break;
    server.stderr?.resume();
  }
  await restart();
  return {
    urlOf: (path: string) => `ssh://${userInfo().username}@127.0.0.1:${port}${path}`,
    /** A line of known_hosts with the key it has now. */
    pin: () => `[127.0.0.1]:${port} ${hostKey}`,
    restart,
    shut: async () => await rm(at('open'), { force: true }),
    open: async () => await writeFile(at('open'), ''),
    calls: async () => (await readFile(at('calls'), 'utf8').catch(() => '')).split('\n').length - 1,
    async close() {
      await writeFile(at('open'), '');
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
export type Sshd = Awaited<ReturnType<typeof startSshd>>;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
