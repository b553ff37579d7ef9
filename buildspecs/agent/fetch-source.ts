import { mkdir } from 'node:fs/promises';
import { parseRepoUrl, type RepoUrl } from '../../functions/apps/repo-url.ts';
import type { SourceSpec } from '../../functions/builds/spec.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { commitShaPattern, type CommitSha } from '../../functions/runtime/units.ts';
import { withCredential } from './credential.ts';
import { gitCommand, gitEnvironment } from './git-command.ts';
import { hostKeysFor } from './host-keys.ts';
import { maskSecrets } from './mask.ts';
import type { Environment, Outside } from './outside.ts';
import { askCommand, CommandFailed, runCommand } from './run-command.ts';
import { addToState, timed } from './state.ts';

/**
 * Brings the source at the exact commit into the work folder, depth 1 where the server allows it, checked out and
 * detached. No submodules. The credential exists only while Git speaks with the server.
 */
export async function fetchSource(outside: Outside, source: SourceSpec): Promise<void> {
  const url = parseRepoUrl(source.repoUrl);
  if (!url) throw new Problem('invalid', 'source.repoUrl: expected a repository URL');
  await timed(outside.work, 'fetch', async () => {
    await mkdir(outside.work.source);
    const remembers = url.transport === 'ssh' && hostKeysFor(url, source.hostKeys, '').mode === 'remembered';
    const keepHostKeys = remembers ? await outside.git.openKnownHosts?.() : undefined;
    const commit = await withCredential(outside, { source, url }, async ({ env, secrets }) => {
      return await bringCommit(gitIn(outside, { url, env, secrets }), source);
    });
    await keepHostKeys?.();
    const git = gitIn(outside, { url, env: {}, secrets: [] });
    await git.run(['checkout', '--quiet', '--force', '--detach', commit]);
    const committedAt = await git.ask(['show', '--no-patch', '--format=%ct', commit]);
    outside.print(`Source is ${await git.ask(['show', '--no-patch', '--format=%H %s', commit])}`);
    await addToState(outside.work, { source: { commit, committedAtSeconds: Number(committedAt) } });
  });
}

type Git = {
  readonly run: (args: readonly string[]) => Promise<void>;
  readonly ask: (args: readonly string[]) => Promise<string>;
  readonly print: (line: string) => void;
};

function gitIn(outside: Outside, access: { url: RepoUrl; env: Environment; secrets: readonly string[] }): Git {
  const env = { ...gitEnvironment(outside.environment, access.url, outside.git.allow), ...access.env };
  const at = { cwd: outside.work.source, env };
  const mask = maskSecrets(access.secrets);
  return {
    run: async (args) => await runCommand(gitCommand(args, at), (line) => outside.print(mask(line))),
    ask: async (args) =>
      mask(await askCommand(gitCommand(args, at)).catch((error: unknown) => tellMasked(error, mask))),
    print: outside.print,
  };
}

function tellMasked(error: unknown, mask: (line: string) => string): never {
  if (!(error instanceof CommandFailed)) throw error;
  throw new CommandFailed(error.message, { lines: error.lines.map(mask) });
}

/** Answers with the commit that is now in the repository of the work folder. */
async function bringCommit(git: Git, source: SourceSpec): Promise<CommitSha> {
  const wanted = source.commit ?? (commitShaPattern.test(source.ref) ? source.ref : undefined);
  try {
    if (wanted !== undefined) return await bringExactly(git, source, wanted);
    return await bringRef(git, source);
  } catch (error) {
    throw gitProblem(error);
  }
}

async function bringExactly(git: Git, { repoUrl, ref }: SourceSpec, wanted: CommitSha): Promise<CommitSha> {
  await initRepository(git, wanted);
  git.print(`Fetching ${wanted} of ${repoUrl}`);
  const direct = await tryFetch(git, ['--depth=1', '--', repoUrl, wanted]);
  if (!direct) {
    git.print('The server gives no commit by its id alone: fetching the history');
    const near = await tryFetch(git, ['--depth=50', '--', repoUrl, ref]);
    if (!near || !(await findCommit(git, wanted))) await fetchEverything(git, repoUrl);
  }
  const commit = await findCommit(git, wanted);
  if (!commit)
    throw new Problem('not-found', `The repository has no commit ${wanted}: was it removed by a forced push?`);
  return commit;
}

async function bringRef(git: Git, { repoUrl, ref }: SourceSpec): Promise<CommitSha> {
  const found = await findRef(git, repoUrl, ref);
  await initRepository(git, found?.sha ?? ref);
  if (!found) return await bringShortSha(git, repoUrl, ref);
  git.print(`Fetching ${found.name} of ${repoUrl}`);
  await git.run(fetchArgs(['--depth=1', '--', repoUrl, found.name]));
  const commit = await findCommit(git, 'FETCH_HEAD');
  if (!commit) throw new Problem('invalid', `${found.name} is no commit`);
  return commit;
}

async function bringShortSha(git: Git, repoUrl: string, ref: string): Promise<CommitSha> {
  if (/^[0-9a-f]{4,63}$/.test(ref)) {
    git.print(`Looking for the commit ${ref} in ${repoUrl}`);
    await fetchEverything(git, repoUrl);
    const commit = await findCommit(git, ref);
    if (commit) return commit;
  }
  throw new Problem('not-found', `The repository has no branch, tag or commit ${ref}`);
}

/** The full name of a branch, a tag or another ref; a branch goes before a tag of the same name, as in `git clone`. */
async function findRef(git: Git, repoUrl: string, ref: string): Promise<{ name: string; sha: string } | undefined> {
  const names = ref.startsWith('refs/') || ref === 'HEAD' ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`];
  const answer = await git.ask(['ls-remote', '--', repoUrl, ...names]);
  const refs = new Map(answer.split('\n').map((line) => line.split('\t').reverse() as [string, string]));
  const name = names.find((candidate) => refs.has(candidate));
  return name === undefined ? undefined : { name, sha: refs.get(name) ?? '' };
}

/** No template, so no hook and nothing else of this machine gets in; the hash is told by the length of an id. */
async function initRepository(git: Git, id: string): Promise<void> {
  await git.run(['init', '--quiet', '--template=', `--object-format=${id.length === 64 ? 'sha256' : 'sha1'}`]);
}

function fetchArgs(args: readonly string[]): readonly string[] {
  return ['fetch', '--quiet', '--force', '--no-tags', '--no-recurse-submodules', ...args];
}

async function fetchEverything(git: Git, repoUrl: string): Promise<void> {
  const all = ['+refs/heads/*:refs/source/heads/*', '+refs/tags/*:refs/source/tags/*'];
  // The largest depth there is: it also completes what was fetched with a smaller one (git-fetch(1), --unshallow).
  await git.run(fetchArgs(['--depth=2147483647', '--', repoUrl, ...all]));
}

/** False when the server refuses this very commit or ref; throws when it cannot be reached or lets us not in. */
async function tryFetch(git: Git, args: readonly string[]): Promise<boolean> {
  try {
    await git.run(fetchArgs(args));
    return true;
  } catch (error) {
    if (error instanceof CommandFailed && error.lines.some((line) => refusedObject.test(line))) return false;
    throw error;
  }
}

const refusedObject =
  /not our ref|unadvertised object|couldn't find remote ref|no such remote ref|unable to find [0-9a-f]{40}|did not send all necessary objects|dumb http|object not found/i;

/** The commit that a name stands for, through annotated tags; undefined when there is none, or more than one. */
async function findCommit(git: Git, name: string): Promise<CommitSha | undefined> {
  try {
    return await git.ask(['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`]);
  } catch (error) {
    if (error instanceof CommandFailed) return undefined;
    throw error;
  }
}

/** Git's own last words are the reason; they are masked already. */
function gitProblem(error: unknown): unknown {
  if (!(error instanceof CommandFailed)) return error;
  const words = error.lines.filter((line) => /^(fatal|error|ERROR|remote|ssh|Host key|.*Permission denied)/.test(line));
  const said = (words.length > 0 ? words : error.lines).slice(-3).join('; ');
  return new Problem('invalid', `The source cannot be fetched: ${said || error.message}`, { cause: error });
}
