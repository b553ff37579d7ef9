import { chmod, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Problem } from '../../functions/runtime/errors.ts';
import type { AppUser } from './outside.ts';
import type { WorkFolder } from './work-folder.ts';

/** In CodeBuild's own images: https://github.com/aws/aws-codebuild-docker-images */
const codeBuildUser = 'codebuild-user';
/** Where there is none of that name: an id that is nobody's. */
const nobodys: AppUser = { uid: 61_000, gid: 61_000 };
/** Where CodeBuild keeps what it runs, and so perhaps the environment that its commands begin with. */
const codeBuildFolder = '/codebuild';

/**
 * Whom strangers' code runs as in CodeBuild, whose commands are root's. That user can read neither the environment of
 * root's processes (proc(5), /proc/pid/environ), which names the way to the build role's credential, nor what CodeBuild
 * keeps in its folder. Throws `Problem('unsupported')` where the agent is not root, and so could not protect it.
 */
export async function strangerOnCodeBuild(): Promise<AppUser> {
  if (process.getuid?.() !== 0) {
    const why = 'the app’s command could read the credential of the build role';
    throw new Problem('unsupported', `The build image has to run as root: else ${why}`);
  }
  await chmod(codeBuildFolder, 0o700).catch((error: unknown) => {
    if ((error as { code?: unknown }).code !== 'ENOENT') throw error;
  });
  return userIn(await readFile('/etc/passwd', 'utf8').catch(() => '')) ?? nobodys;
}

/** The build user of an `/etc/passwd`; root under another name is none. */
export function userIn(passwd: string): AppUser | undefined {
  const fields = passwd
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === codeBuildUser);
  const [uid, gid] = [Number(fields?.[2]), Number(fields?.[3])];
  return uid > 0 && gid > 0 ? { uid, gid } : undefined;
}

/** A machine goes with its build; that of a reserved fleet may stay, and a build must find nothing of the one before. */
export async function makeWorkFolder({ root }: WorkFolder): Promise<void> {
  await rm(root, { recursive: true, force: true });
  await mkdir(root);
  // The app's user goes through it to folders of its own, and cannot list it.
  await chmod(root, 0o711);
}

/** Removes all that a build has fetched and made; what it says of its end stays. */
export async function removeWork(work: WorkFolder): Promise<void> {
  const own = ['registry', 'image'].map((name) => join(work.root, name));
  const made = [work.source, work.artifact, work.home, work.temporary, work.archive];
  const folders = [...own, work.credential, ...made];
  await Promise.all(folders.map(async (path) => await rm(path, { recursive: true, force: true, maxRetries: 3 })));
}
