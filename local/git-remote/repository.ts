import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { codeOf, writeDurably } from '../durable.ts';
import type { Environment } from './environment.ts';

const run = promisify(execFile);
const draftPrefix = '.new-';

/** The bare repository of an app, made when it is not there: whole and then renamed, so half of one is never seen. */
export async function openRepository(of: {
  readonly folder: string;
  readonly app: string;
  readonly git: Environment;
}): Promise<string> {
  const repository = join(of.folder, `${of.app}.git`);
  if (await isThere(join(repository, 'HEAD'))) return repository;
  await mkdir(of.folder, { recursive: true, mode: 0o700 });
  const draft = await mkdtemp(join(of.folder, draftPrefix));
  try {
    const git = async (...args: readonly string[]) => await run('git', [...args], { env: of.git });
    await git('init', '--quiet', '--bare', '--template=', '--initial-branch=main', draft);
    // A build takes the exact commit of a push, also when it is not a tip any more.
    await git('config', '--file', join(draft, 'config'), 'uploadpack.allowAnySHA1InWant', 'true');
    await rename(draft, repository);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Two first requests at once: the other one was faster.
    if (!(await isThere(join(repository, 'HEAD')))) throw error;
  }
  return repository;
}

/** Removes what `openRepository` left behind when the server was killed in it. */
export async function removeDrafts(folder: string): Promise<void> {
  const drafts = (await namesIn(folder)).filter((name) => name.startsWith(draftPrefix));
  for (const draft of drafts) await rm(join(folder, draft), { recursive: true, force: true });
}

/** The apps that have a repository. */
export async function repositoriesIn(folder: string): Promise<readonly string[]> {
  return (await namesIn(folder)).filter((name) => /^[a-z][a-z0-9-]*\.git$/.test(name)).map((name) => name.slice(0, -4));
}

/** Nothing of this machine stands in it: what it needs is in the environment. */
const hookText = '#!/bin/sh\nexec "$SLUICE_HOOK_NODE" "$SLUICE_HOOK_SCRIPT"\n';

/** The folder of the hooks of all repositories, with the hook in it. */
export async function writeHooks(folder: string): Promise<string> {
  const hooks = join(folder, 'hooks');
  const file = join(hooks, 'post-receive');
  if ((await readFile(file, 'utf8').catch(() => '')) === hookText) return hooks;
  await mkdir(hooks, { recursive: true, mode: 0o700 });
  const temporary = await mkdtemp(join(folder, draftPrefix));
  await writeDurably(file, hookText, { mode: 0o700, temporary: join(temporary, 'post-receive') });
  await rm(temporary, { recursive: true, force: true });
  return hooks;
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return await readdir(folder).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
