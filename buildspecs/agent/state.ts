import { readFile, rename, writeFile } from 'node:fs/promises';
import type { ArtifactResult } from '../../functions/builds/spec.ts';
import type { PhaseTime } from '../../functions/ports/builder.ts';
import type { CommitSha } from '../../functions/runtime/units.ts';
import type { WorkFolder } from './work-folder.ts';

/** What the steps of one build tell each other; every step is a process of its own. */
export type State = {
  readonly phases: readonly PhaseTime[];
  readonly source?: { readonly commit: CommitSha; readonly committedAtSeconds: number };
  /** The check went well. */
  readonly passed?: true;
  readonly artifact?: Pick<ArtifactResult, 'kind' | 'digest' | 'sizeBytes' | 'reference'>;
};

/** The state so far; empty before the first step. */
export async function readState(work: WorkFolder): Promise<State> {
  try {
    return JSON.parse(await readFile(work.state, 'utf8')) as State;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return { phases: [] };
    throw error;
  }
}

export async function addToState(work: WorkFolder, addition: Partial<State>): Promise<void> {
  const state = { ...(await readState(work)), ...addition };
  await writeFile(`${work.state}.new`, JSON.stringify(state), { mode: 0o600 });
  await rename(`${work.state}.new`, work.state);
}

/** Does a part of a step and remembers how long it took, under a name for people. */
export async function timed<T>(work: WorkFolder, name: string, run: () => Promise<T>): Promise<T> {
  const began = performance.now();
  const result = await run();
  const seconds = Math.round(performance.now() - began) / 1000;
  await addToState(work, { phases: [...(await readState(work)).phases, { name, seconds }] });
  return result;
}
