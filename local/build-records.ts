import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildObservation } from '../functions/ports/builder.ts';
import { codeOf, makeFolders, writeDurably } from './durable.ts';

export type EndedBuild = Exclude<BuildObservation, { status: 'unknown' } | { status: 'running' }>;

/** The folders of a build: what stays of it, and what vanishes with it. */
export function buildFolders(data: string) {
  const kept = join(data, 'builds');
  const work = join(data, 'work', 'builds');
  return {
    kept,
    work,
    keptOf: (buildId: string) => join(kept, buildId),
    workOf: (buildId: string) => join(work, buildId),
    logOf: (buildId: string) => join(kept, buildId, 'log.jsonl'),
    outcomeOf: (buildId: string) => join(kept, buildId, 'outcome.json'),
  };
}
export type BuildFolders = ReturnType<typeof buildFolders>;

/** How a build ended; undefined while it has not. */
export async function findOutcome(folders: BuildFolders, buildId: string): Promise<EndedBuild | undefined> {
  try {
    return JSON.parse(await readFile(folders.outcomeOf(buildId), 'utf8')) as EndedBuild;
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Keeps how a build ended, whole or not at all. */
export async function writeOutcome(folders: BuildFolders, buildId: string, outcome: EndedBuild): Promise<void> {
  await makeFolders(folders.keptOf(buildId));
  const path = folders.outcomeOf(buildId);
  await writeDurably(path, JSON.stringify(outcome), { mode: 0o600, temporary: `${path}.${randomUUID()}.new` });
}

/** The names in a folder; none when it is not there. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}
