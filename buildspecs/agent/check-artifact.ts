import { stripVTControlCharacters } from 'node:util';
import type { CheckSpec } from '../../functions/builds/spec.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { appEnvironment } from './app-environment.ts';
import { asAppUser } from './app-user.ts';
import { layOutArtifact } from './artifact-folder.ts';
import { checkInContainer } from './check-container.ts';
import type { Environment, Outside } from './outside.ts';
import { CommandFailed, watchCommand } from './run-command.ts';
import { addToState, timed } from './state.ts';

/**
 * Runs an app's check on an artifact: the app's own command beside it, or an image that has it at `/artifact`. Its exit
 * code says whether the artifact passed; one that did not throws `Problem('invalid')` with its last words.
 */
export async function checkArtifact(outside: Outside, check: CheckSpec): Promise<void> {
  const { work } = outside;
  const { artifact, name } = check;
  await timed(work, 'fetch', async () => await layOutArtifact(outside, artifact));
  outside.print(`Running the check ${name} on ${artifact.kind} ${artifact.digest}`);
  await timed(work, 'check', async () => {
    try {
      if (check.image === undefined) await runCheck(outside, check, check.command ?? '');
      else await checkInContainer(outside, { ...check, image: check.image, variables: variablesOf(outside, check) });
    } catch (error) {
      if (!(error instanceof CommandFailed) || error.status === undefined) throw error;
      throw new Problem('invalid', failureOf(name, error.status, error.lines), { cause: error });
    }
  });
  await addToState(work, { passed: true });
  outside.print(`The check ${name} has passed`);
}

async function runCheck(outside: Outside, check: CheckSpec, command: string): Promise<void> {
  const { work, print } = outside;
  const env = { ...(await appEnvironment(outside)), ...variablesOf(outside, check), SLUICE_ARTIFACT: work.artifact };
  await asAppUser(outside, [work.artifact, work.home, work.temporary], async (user) => {
    await watchCommand({ file: 'sh', args: ['-c', command], cwd: work.artifact, env, ...(user && { user }) }, print);
  });
}

function variablesOf({ spec }: Outside, { name, artifact }: CheckSpec): Environment {
  return { SLUICE_APP: spec.app, SLUICE_CHECK: name, SLUICE_DIGEST: artifact.digest, SLUICE_KIND: artifact.kind };
}

function failureOf(name: string, status: string, lines: readonly string[]): string {
  const last = lines.map(plain).findLast((line) => line !== '');
  return `The check ${name} ended with ${status}${last === undefined ? '' : `: ${last.slice(0, 500).toWellFormed()}`}`;
}

/** Without colours and what else a terminal would obey: it goes into a sentence. */
function plain(line: string): string {
  return stripVTControlCharacters(line)
    .replaceAll(/\p{Cc}/gu, ' ')
    .trim();
}
