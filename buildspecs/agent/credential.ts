import { closeSync, fsyncSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RepoUrl } from '../../functions/apps/repo-url.ts';
import type { SourceSpec } from '../../functions/builds/spec.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { hostKeysFor, sshCommand } from './host-keys.ts';
import type { Environment, Outside } from './outside.ts';

/** What Git needs to be let in: variables that name files, and the secrets themselves, to be masked in what it says. */
export type Access = { readonly env: Environment; readonly secrets: readonly string[] };

/**
 * Reads the source's credential and keeps it in 0600 files outside the source while `use` runs. (After a SIGKILL the
 * builder removes the whole work folder.)
 */
export async function withCredential<T>(
  outside: Outside,
  at: { readonly source: SourceSpec; readonly url: RepoUrl },
  use: (access: Access) => Promise<T>,
): Promise<T> {
  return await withPrivateFolder(outside.work.credential, async () => await use(await prepareAccess(outside, at)));
}

/**
 * Makes a folder that nobody else can look into, and wipes it afterwards, whatever happens: also on a signal that ends
 * the agent.
 */
export async function withPrivateFolder<T>(folder: string, use: () => Promise<T>): Promise<T> {
  const end = (signal: NodeJS.Signals) => {
    wipeFolder(folder);
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
  for (const name of signals) process.on(name, end);
  try {
    await mkdir(folder, { mode: 0o700 });
    return await use();
  } finally {
    wipeFolder(folder);
    for (const name of signals) process.off(name, end);
  }
}

async function prepareAccess(outside: Outside, at: { source: SourceSpec; url: RepoUrl }): Promise<Access> {
  const { credential } = at.source;
  switch (credential.kind) {
    case 'none':
      return { env: await sshEnvironment(outside, at, undefined), secrets: [] };
    case 'ssh-key': {
      const key = await outside.readSecret(credential.secret);
      const keyFile = join(outside.work.credential, 'key');
      // ssh refuses a key whose last line does not end.
      await writePrivately(keyFile, `${key.replaceAll('\r\n', '\n').trimEnd()}\n`);
      return { env: await sshEnvironment(outside, at, keyFile), secrets: [key] };
    }
    case 'https-token': {
      const token = (await outside.readSecret(credential.secret)).trim();
      const env = await askpassEnvironment(outside.work.credential, {
        ...credential,
        token,
        repoUrl: at.source.repoUrl,
      });
      return { env, secrets: [token, `${credential.username}:${token}`] };
    }
  }
}

async function sshEnvironment(
  outside: Outside,
  at: { source: SourceSpec; url: RepoUrl },
  keyFile: string | undefined,
): Promise<Environment> {
  if (at.url.transport !== 'ssh') return {};
  const keys = hostKeysFor(at.url, at.source.hostKeys, outside.git.knownHosts);
  if (keys.mode === 'remembered') {
    return { GIT_SSH_COMMAND: sshCommand({ keyFile, knownHosts: keys.file, strict: false }) };
  }
  const knownHosts = join(outside.work.credential, 'known_hosts');
  await writePrivately(knownHosts, `${keys.lines.join('\n')}\n`);
  return { GIT_SSH_COMMAND: sshCommand({ keyFile, knownHosts, strict: true }) };
}

type Token = { readonly username: string; readonly token: string; readonly repoUrl: string };

/** Git asks a small script, which answers for the one server only: a redirect elsewhere gets nothing. */
async function askpassEnvironment(folder: string, { username, token, repoUrl }: Token): Promise<Environment> {
  const server = serverOf(repoUrl);
  const script = `#!/bin/sh
folder=\${0%/*}
case "$1" in
  "Username for '${server.scheme}://${server.host}': ") cat "$folder/username" ;;
  "Password for '${server.scheme}://"*"@${server.host}': ") cat "$folder/token" ;;
  *) exit 1 ;;
esac
`;
  const askpass = join(folder, 'askpass');
  await writePrivately(join(folder, 'username'), username);
  await writePrivately(join(folder, 'token'), token);
  await writeFile(askpass, script, { mode: 0o700, flag: 'wx' });
  return { GIT_ASKPASS: askpass };
}

function serverOf(repoUrl: string): { scheme: string; host: string } {
  const url = URL.parse(repoUrl);
  const scheme = url?.protocol.slice(0, -1);
  const host = /^https?:\/\/(?:[^@/]*@)?([A-Za-z0-9.:[\]-]+)\//i.exec(repoUrl)?.[1];
  const isLoopback = ['localhost', '127.0.0.1', '[::1]'].includes(url?.hostname ?? '');
  if (!host || !(scheme === 'https' || (scheme === 'http' && isLoopback))) {
    const expected = 'an https URL: a token is sent over nothing else';
    throw new Problem('invalid', `source.repoUrl: expected ${expected}`, {
      issues: [{ field: 'source.repoUrl', expected }],
    });
  }
  return { scheme, host };
}

export async function writePrivately(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600, flag: 'wx' });
}

/** Overwrites and removes; synchronous, as a signal handler has no later. */
function wipeFolder(folder: string): void {
  for (const name of namesIn(folder)) overwrite(join(folder, name));
  rmSync(folder, { recursive: true, force: true });
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // It was never made.
  }
}

function overwrite(path: string): void {
  try {
    const file = openSync(path, 'r+');
    try {
      writeSync(file, Buffer.alloc(statSync(path).size));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch {
    // A full disk must not keep the file from being removed, which is what counts.
  }
}
