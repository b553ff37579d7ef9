import { rename, writeFile } from 'node:fs/promises';
import type { BuildResult } from '../../functions/builds/spec.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import type { Outside } from './outside.ts';
import { readState } from './state.ts';

/**
 * Writes the `BuildResult` as one line of JSON, which the buildspec exports. CodeBuild runs post_build after a failed
 * build, too: then there is nothing to export.
 */
export async function exportResult({ work }: Outside, options: { succeeding: boolean }): Promise<void> {
  const { artifact, phases, source } = await readState(work);
  if (!options.succeeding || !artifact) throw new Problem('invalid', 'The build made no artifact');
  const result: BuildResult = { ...artifact, ...(source ? { commit: source.commit } : {}), phases: [...phases] };
  await writeFile(`${work.result}.new`, `${JSON.stringify(result)}\n`);
  await rename(`${work.result}.new`, work.result);
}
