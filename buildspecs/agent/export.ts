import { rename, writeFile } from 'node:fs/promises';
import type { BuildResult } from '../../functions/builds/spec.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import type { Outside } from './outside.ts';
import { readState, type State } from './state.ts';

/**
 * Writes the `BuildResult` as one line of JSON, which the buildspec exports. CodeBuild runs post_build after a failed
 * build, too: then there is nothing to export.
 */
export async function exportResult({ spec, work }: Outside, options: { succeeding: boolean }): Promise<void> {
  const result = options.succeeding ? resultOf(await readState(work)) : undefined;
  if (!result) {
    const isCheck = spec.work.kind === 'check';
    throw new Problem('invalid', isCheck ? 'The check has not passed' : 'The build made no artifact');
  }
  await writeFile(`${work.result}.new`, `${JSON.stringify(result)}\n`);
  await rename(`${work.result}.new`, work.result);
}

function resultOf({ artifact, passed, phases, source }: State): BuildResult | undefined {
  if (passed) return { kind: 'check', passed, phases: [...phases] };
  return artifact && { ...artifact, ...(source ? { commit: source.commit } : {}), phases: [...phases] };
}
