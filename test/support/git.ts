import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export type GitResult = { readonly ok: boolean; readonly stdout: string; readonly stderr: string };
export type WorkTree = {
  readonly path: string;
  /** Runs Git; throws with its output when it fails. */
  git(...args: readonly string[]): Promise<GitResult>;
  /** Runs Git, whether it fails or not. */
  tryGit(...args: readonly string[]): Promise<GitResult>;
  /** Commits a file of that content; answers with the commit. */
  commit(file: string, content: string | Uint8Array): Promise<string>;
};

/** Nothing of the settings of whoever runs the tests. */
const env = {
  PATH: process.env['PATH'] ?? '',
  HOME: '/nonexistent',
  LC_ALL: 'C',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'Ann',
  GIT_AUTHOR_EMAIL: 'ann@example.com',
  GIT_COMMITTER_NAME: 'Ann',
  GIT_COMMITTER_EMAIL: 'ann@example.com',
};

/** A work tree in a folder that is made; `isNew` begins a repository there. */
export async function workTree(path: string, isNew = true): Promise<WorkTree> {
  await mkdir(path, { recursive: true });
  const tree: WorkTree = {
    path,
    tryGit: async (...args) =>
      await run('git', [...args], { cwd: path, env, maxBuffer: 1 << 28 }).then(
        ({ stdout, stderr }) => ({ ok: true, stdout, stderr }),
        ({ stdout, stderr }: { stdout: string; stderr: string }) => ({ ok: false, stdout, stderr }),
      ),
    git: async (...args) => {
      const result = await tree.tryGit(...args);
      if (!result.ok) throw new Error(`git ${args.join(' ')}: ${result.stderr}${result.stdout}`);
      return result;
    },
    commit: async (file, content) => {
      await writeFile(join(path, file), content);
      await tree.git('add', '--', file);
      await tree.git('commit', '--quiet', '--message', `Write ${file}`);
      return (await tree.git('rev-parse', 'HEAD')).stdout.trim();
    },
  };
  if (isNew) await tree.git('init', '--quiet', '--initial-branch=main');
  return tree;
}
