/** A repository URL, taken apart. `identity` is equal for all forms of one repository: `github.com/acme/web`. */
export type RepoUrl = {
  readonly transport: 'https' | 'http' | 'ssh' | 'file';
  readonly identity: string;
};

/** Takes a repository URL apart; undefined when it is none of https, http, ssh (both forms) and file. */
export function parseRepoUrl(_text: string): RepoUrl | undefined {
  return undefined; // replaced by the apps room
}

/** What is wrong with a repository URL as a value, whatever the cloud allows; undefined when nothing is. */
export function repoUrlIssue(text: string): string | undefined {
  return parseRepoUrl(text)
    ? undefined
    : 'a repository URL: https://host/path, ssh://user@host/path, or user@host:path';
}
