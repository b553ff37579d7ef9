import type { RepoUrl } from '../../functions/apps/repo-url.ts';

/** Either these lines alone are trusted, or a key is accepted the first time and remembered in the file. */
export type HostKeys =
  | { readonly mode: 'pinned'; readonly lines: readonly string[] }
  | { readonly mode: 'remembered'; readonly file: string };

// https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints
const githubKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl';

/** The app's own pins count first; GitHub's key is pinned; any other server's is accepted once (`accept-new`). */
export function hostKeysFor(url: RepoUrl, pins: readonly string[], remembered: string): HostKeys {
  if (pins.length > 0) return { mode: 'pinned', lines: pins };
  if (!url.identity.startsWith('github.com/')) return { mode: 'remembered', file: remembered };
  return { mode: 'pinned', lines: [`github.com,[ssh.github.com]:443 ${githubKey}`] };
}

/**
 * The command by which Git calls ssh; Git gives it to a shell, so every word is quoted. No configuration, agent or
 * other key of this machine is used. `UpdateHostKeys=no`: ssh then only appends to the file of remembered keys, in one
 * write, so that builds running at once do not lose each other's lines.
 */
export function sshCommand(options: { keyFile: string | undefined; knownHosts: string; strict: boolean }): string {
  const settings = {
    BatchMode: 'yes',
    ConnectTimeout: '20',
    ServerAliveInterval: '15',
    ServerAliveCountMax: '4',
    IdentitiesOnly: 'yes',
    IdentityAgent: 'none',
    UpdateHostKeys: 'no',
    GlobalKnownHostsFile: '/dev/null',
    UserKnownHostsFile: sshPath(options.knownHosts),
    StrictHostKeyChecking: options.strict ? 'yes' : 'accept-new',
    IdentityFile: options.keyFile === undefined ? 'none' : sshPath(options.keyFile),
  };
  const given = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  return ['ssh', '-F', '/dev/null', ...given].map(shellQuoted).join(' ');
}

/** ssh parts values at blanks unless quoted, and expands `%` and `${…}` (ssh_config(5)). */
function sshPath(path: string): string {
  if (/["\\\n]|\$\{/.test(path)) throw new Error('the data folder’s path holds a character that ssh cannot take');
  return `"${path.replaceAll('%', '%%')}"`;
}

function shellQuoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
