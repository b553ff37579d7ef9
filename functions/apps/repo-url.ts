import type { Policy } from '../ports/ports.ts';

/** A repository URL, taken apart. `identity` is equal for all forms of one repository: `github.com/acme/web`. */
export type RepoUrl = {
  readonly transport: 'https' | 'http' | 'ssh' | 'file';
  readonly identity: string;
};

/**
 * Takes an app's repository URL apart; undefined when it is none of https, http, ssh (both forms) and file, carries a
 * password, or could be taken for an option or another transport of Git's (`ext::`). Never throws.
 *
 * The identity leaves out what does not tell repositories apart: scheme, user, default port, `www.`, `.git`, slashes,
 * percent-encoding and letter case. Paths are compared without their case because GitHub, GitLab, Bitbucket and Gitea
 * do so; a server with two repositories that differ only in case would have both pushes tried. Paths of `file://`
 * keep their case.
 */
export function parseRepoUrl(text: string): RepoUrl | undefined {
  const parts = takeApart(text);
  if (!parts || parts.scheme === 'git' || hasCredential(parts)) return undefined;
  return { transport: parts.scheme, identity: identityOf(parts) };
}

/** The identity of a repository as a payload names it: also by `git://`, and whatever its user info. */
export function repoIdentity(text: string): string | undefined {
  const parts = takeApart(text);
  return parts && identityOf(parts);
}

/** What is wrong with a repository URL as a value, whatever the cloud allows; undefined when nothing is. */
export function repoUrlIssue(text: string): string | undefined {
  const parts = takeApart(text);
  if (parts && hasCredential(parts)) return 'a repository URL without a password or token: keep those in a secret';
  return parts && parts.scheme !== 'git'
    ? undefined
    : 'a repository URL: https://host/path, ssh://user@host/path, or user@host:path';
}

/** Why this cloud does not take its source from there, as what was expected instead; undefined when it does. */
export function repoUrlRefusal(url: RepoUrl, policy: Policy['source']): string | undefined {
  if (url.transport === 'file') {
    return policy.allowFile ? undefined : 'a repository URL over https or ssh: files are not reachable from here';
  }
  if (url.transport !== 'http' || isOwnRemote(url, policy)) return undefined;
  return 'a repository URL over https or ssh: plain http can be tampered with';
}

/** Whether the repository is one of the Git remote that this control plane serves itself. */
export function isOwnRemote(url: RepoUrl, policy: Policy['source']): boolean {
  const base = policy.ownRemote === undefined ? undefined : repoIdentity(policy.ownRemote);
  return base !== undefined && url.transport !== 'file' && url.identity.startsWith(`${base}/`);
}

type Parts = {
  readonly scheme: RepoUrl['transport'] | 'git';
  readonly user: string | undefined;
  /** Lower-case; empty for a file. */
  readonly host: string;
  readonly port: number | undefined;
  readonly segments: readonly string[];
};

const longest = 2048;
const userInfo = String.raw`(?:(?<user>[a-z0-9_][^@/]*)@)?`;
const hostName = String.raw`(?<host>[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\.?|\[[0-9a-f:.]+\])`;
const urlForm = new RegExp(
  String.raw`^(?<scheme>https?|ssh|git)://${userInfo}${hostName}(?::(?<port>\d{1,5}))?/(?<path>.*)$`,
  'i',
);
const scpForm = new RegExp(String.raw`^${userInfo}${hostName}:/?(?<path>[^:/-].*)$`, 'i');
const fileForm = /^file:\/\/(?:localhost)?\/(?<path>.*)$/i;

function takeApart(text: string): Parts | undefined {
  // \p{C} and \p{Z}: control characters, line ends, blanks of every kind, and what only pretends to be nothing.
  if (text.length > longest || /[\p{C}\p{Z}\\?#"'<>`|]/u.test(text)) return undefined;
  const file = fileForm.exec(text)?.groups;
  if (file) return withSegments({ scheme: 'file', user: undefined, host: '', port: undefined }, decoded(file['path']));
  const url = urlForm.exec(text)?.groups;
  if (url) return urlParts(url);
  const scp = scpForm.exec(text)?.groups;
  // Without a user, only a dot tells a host from a drive letter or a scheme.
  if (!scp || (scp['user'] === undefined && !scp['host']?.includes('.'))) return undefined;
  // Git does not decode the path of this form.
  const head = { scheme: 'ssh', user: scp['user'], host: scp['host'] ?? '', port: undefined } as const;
  return withSegments(head, scp['path']?.split('/'));
}

function urlParts(groups: Readonly<Record<string, string | undefined>>): Parts | undefined {
  const scheme = groups['scheme']?.toLowerCase() as 'https' | 'http' | 'ssh' | 'git';
  const port = groups['port'] === undefined ? undefined : Number(groups['port']);
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined;
  return withSegments({ scheme, user: groups['user'], host: groups['host'] ?? '', port }, decoded(groups['path']));
}

function withSegments(head: Omit<Parts, 'segments'>, split: readonly string[] | undefined): Parts | undefined {
  const segments = split?.filter((segment) => segment !== '');
  // A leading dash could be taken for an option on the other side.
  if (!segments || segments.some(isUnusable) || segments[0]?.startsWith('-')) return undefined;
  const named = withoutGitSuffix(segments);
  // Asked again: `...git` is `..` without its suffix.
  return named.length === 0 || named.some(isUnusable)
    ? undefined
    : { ...head, host: head.host.toLowerCase(), segments: named };
}

function isUnusable(segment: string): boolean {
  return segment === '.' || segment === '..' || /[/\\\p{C}]/u.test(segment);
}

/** `web.git` is `web`, and `web/.git` is `web`, too. */
function withoutGitSuffix(segments: readonly string[]): readonly string[] {
  const last = segments.at(-1)?.replace(/\.git$/i, '') ?? '';
  return last === '' ? segments.slice(0, -1) : [...segments.slice(0, -1), last];
}

function decoded(path: string | undefined): readonly string[] | undefined {
  try {
    return path?.split('/').map((segment) => decodeURIComponent(segment));
  } catch {
    return undefined;
  }
}

const defaultPorts = { https: 443, http: 80, ssh: 22, git: 9418, file: undefined } as const;

/** Names under which the same server is reached on another port, or at home. */
const aliases: Readonly<Record<string, string>> = {
  'ssh.github.com:443': 'github.com',
  'altssh.gitlab.com:443': 'gitlab.com',
  'altssh.bitbucket.org:443': 'bitbucket.org',
  '127.0.0.1': 'localhost',
  '0.0.0.0': 'localhost',
  '[::1]': 'localhost',
  '[::]': 'localhost',
};

function identityOf(parts: Parts): string {
  const path = parts.segments.join('/').normalize('NFC');
  if (parts.scheme === 'file') return `file:///${path}`;
  const host = parts.host.replace(/\.$/, '').replace(/^www\.(?=.*\.)/, '');
  const port = parts.port === undefined || parts.port === defaultPorts[parts.scheme] ? '' : `:${parts.port}`;
  const server = aliases[`${host}${port}`] ?? `${aliases[host] ?? host}${port}`;
  return `${server}/${path.toLowerCase()}`;
}

/** A password anywhere, or a token where Git's HTTPS remotes also take one: as the user's name. */
function hasCredential({ scheme, user }: Parts): boolean {
  if (user === undefined) return false;
  if (/:|%3a/i.test(user)) return true;
  return scheme !== 'ssh' && (user.length >= 32 || /^(?:gh[a-z]_|github_pat_|gl[a-z]+-)/i.test(user));
}
