import { stat } from 'node:fs/promises';
import type { BundleSpec } from '../../functions/builds/spec.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { appEnvironment } from './app-environment.ts';
import { asAppUser } from './app-user.ts';
import { writeArchive } from './archive.ts';
import { pathInside } from './inside.ts';
import type { Outside } from './outside.ts';
import { CommandFailed, passCommand } from './run-command.ts';
import { addToState, readState, timed } from './state.ts';

/**
 * Runs the app's own command, the one thing that a shell sees, and packs the folder it leaves. `.git` is there while
 * the command runs (for `git describe`) and is left out of the archive.
 */
export async function buildBundle(outside: Outside, { command, output }: BundleSpec): Promise<void> {
  const { work, print } = outside;
  const { source } = await readState(work);
  if (command !== undefined) await timed(work, 'command', async () => await runAppCommand(outside, command));
  const folder = await pathInside(work.source, output, 'build.output');
  if (!(await stat(folder)).isDirectory()) throw new Problem('invalid', 'build.output: expected a folder');
  // The commit's time, not 0: web servers make ETags of time and size, and must not take two versions for one.
  const mtime = new Date((source?.committedAtSeconds ?? 0) * 1000);
  const bundle = await timed(work, 'archive', async () => {
    return await writeArchive({ folder, file: work.archive, mtime, print });
  });
  await timed(work, 'store', async () => await outside.keepBundle(bundle));
  const { digest, sizeBytes } = bundle;
  await addToState(work, { artifact: { kind: 'bundle', digest, sizeBytes, reference: digest } });
  print(`Bundle of ${bundle.entries} files and folders is ${digest} (${sizeBytes} bytes)`);
}

async function runAppCommand(outside: Outside, command: string): Promise<void> {
  const { work } = outside;
  const { source } = await readState(work);
  const env = { ...(await appEnvironment(outside)), ...(source ? { SLUICE_COMMIT: source.commit } : {}) };
  try {
    await asAppUser(outside, [work.source, work.home, work.temporary], async (user) => {
      await passCommand({ file: 'sh', args: ['-c', command], cwd: work.source, env, ...(user && { user }) });
    });
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    throw new Problem('invalid', `The build command failed: ${error.message}`, { cause: error });
  }
}
