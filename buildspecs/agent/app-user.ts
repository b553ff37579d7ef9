import { readdir, readFile } from 'node:fs/promises';
import type { AppUser, Outside } from './outside.ts';
import { CommandFailed, runCommand, type Command } from './run-command.ts';

/**
 * Runs the app's own code as the user that it is given, who gets the folders for its own, and ends whatever it has left
 * running before the agent touches these folders again: else it could exchange a file for a link to one that only the
 * agent may read, after the agent has looked and before it reads. Where there is no such user, it is run as it is.
 */
export async function asAppUser(
  { appUser: findUser, work, environment, print }: Outside,
  folders: readonly string[],
  run: (user: AppUser | undefined) => Promise<void>,
): Promise<void> {
  if (!findUser) return await run(undefined);
  const appUser = await findUser();
  const at = { cwd: work.root, env: environment };
  // -R follows no link, and -h changes the links themselves.
  const owner = `${appUser.uid}:${appUser.gid}`;
  await runCommand({ file: 'chown', args: ['-R', '-h', owner, '--', ...folders], ...at }, print);
  try {
    await run(appUser);
  } finally {
    await endAllOf(appUser, at);
  }
}

/** Ends every process of a user, however many there are and whatever they call themselves. */
export async function endAllOf(user: AppUser, at: Pick<Command, 'cwd' | 'env'>): Promise<void> {
  for (let round = 1; round <= 10; round++) {
    // To all that this user may signal, in one call, which no fork can outrun: kill(2), pid -1.
    await runCommand({ file: 'sh', args: ['-c', 'kill -9 -1'], ...at, user }, () => {}).catch(leaveFailed);
    if (!(await hasProcesses(user))) return;
  }
  throw new Error('processes of the build command cannot be ended');
}

/** It fails when there is nobody to signal. */
function leaveFailed(error: unknown): void {
  if (!(error instanceof CommandFailed)) throw error;
}

async function hasProcesses({ uid }: AppUser): Promise<boolean> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(ids.map(async (id) => await runsAs(id, uid)));
  return found.includes(true);
}

/** A zombie does nothing any more; who should bury it may never do so. */
async function runsAs(id: string, uid: number): Promise<boolean> {
  const status = await readFile(`/proc/${id}/status`, 'utf8').catch(() => '');
  const state = /^State:\t(.)/m.exec(status)?.[1] ?? 'X';
  return new RegExp(`^Uid:(?:\t\\d+)*\t${uid}\\b`, 'm').test(status) && !'ZX'.includes(state);
}
