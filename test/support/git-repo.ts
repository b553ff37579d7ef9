import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';

const identity = {
  GIT_AUTHOR_NAME: 'Ann',
  GIT_AUTHOR_EMAIL: 'ann@example.com',
  GIT_COMMITTER_NAME: 'Ann',
  GIT_COMMITTER_EMAIL: 'ann@example.com',
};

/** A Git repository in a temporary folder, with `main` as its branch. */
export async function makeRepository() {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-repo-'));
  const git = async (...args: string[]): Promise<string> =>
    (
      await execa('git', args, {
        cwd: folder,
        env: { ...identity, GIT_CONFIG_GLOBAL: '/dev/null', GIT_TERMINAL_PROMPT: '0' },
        all: true,
      })
    ).all;
  await git('init', '--quiet', '--initial-branch', 'main');
  return {
    folder,
    url: `file://${folder}`,
    git,
    /** Writes files and commits them; the commit's SHA. */
    commit: async (files: Readonly<Record<string, string>>, message = 'Change'): Promise<string> => {
      for (const [name, text] of Object.entries(files)) {
        await mkdir(dirname(join(folder, name)), { recursive: true });
        await writeFile(join(folder, name), text);
      }
      await git('add', '--all');
      await git('commit', '--quiet', '--allow-empty', '--message', message);
      return await git('rev-parse', 'HEAD');
    },
    remove: async () => await rm(folder, { recursive: true, force: true }),
  };
}
