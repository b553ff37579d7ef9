import { writeFile } from 'node:fs/promises';
import { messageOf, Problem } from '../../functions/runtime/errors.ts';
import type { Outside } from './outside.ts';

/** The steps a buildspec names. `CODEBUILD_BUILD_SUCCEEDING` tells `export` whether the step before went well. */
export const steps = ['fetch', 'image', 'bundle', 'artifact', 'pull', 'import', 'check', 'export'] as const;
export type Step = (typeof steps)[number];

/**
 * Does one step of a build; the answer is the exit code. What failed is said in the log and, as one sentence, in the
 * work folder's `reason`, which the buildspec exports. Each step loads only its own code: a build starts quickly.
 */
export async function runStep(step: string, outside: Outside, options: { succeeding: boolean }): Promise<number> {
  try {
    await perform(step, outside, options);
    return 0;
  } catch (error) {
    const reason = error instanceof Problem ? error.message : `The build agent failed: ${messageOf(error)}`;
    outside.print(`Error: ${reason}`);
    // The first failure is the reason; `export` only fails because of it.
    await writeFile(outside.work.reason, reason.slice(0, 2000), { flag: 'wx' }).catch(() => {});
    return 1;
  }
}

async function perform(step: string, outside: Outside, options: { succeeding: boolean }): Promise<void> {
  const { work } = outside.spec;
  switch (step) {
    case 'fetch':
      if (!('source' in work)) throw mismatch(step, work.kind);
      return await (await import('./fetch-source.ts')).fetchSource(outside, work.source);
    case 'image':
      if (work.kind !== 'image') throw mismatch(step, work.kind);
      return await (await import('./build-image.ts')).buildImage(outside, work);
    case 'bundle':
      if (work.kind !== 'bundle') throw mismatch(step, work.kind);
      return await (await import('./build-bundle.ts')).buildBundle(outside, work.bundle);
    case 'artifact':
      if (work.kind !== 'fetch') throw mismatch(step, work.kind);
      return await (await import('./fetch-artifact.ts')).fetchArtifact(outside, work.fetch);
    case 'pull':
      if (work.kind !== 'registry') throw mismatch(step, work.kind);
      return await (await import('./pull-image.ts')).pullImage(outside, work.registry);
    case 'import':
      if (work.kind !== 'import') throw mismatch(step, work.kind);
      return await (await import('./import-image.ts')).importImage(outside, work.import);
    case 'check':
      if (work.kind !== 'check') throw mismatch(step, work.kind);
      return await (await import('./check-artifact.ts')).checkArtifact(outside, work.check);
    case 'export':
      return await (await import('./export.ts')).exportResult(outside, options);
    default:
      throw new Problem('invalid', `The build agent has no step ${step}; it has ${steps.join(', ')}`);
  }
}

function mismatch(step: string, kind: string): Problem {
  return new Problem('invalid', `The step ${step} does not fit a build of the kind ${kind}`);
}
