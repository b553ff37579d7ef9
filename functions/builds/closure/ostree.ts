import { Problem } from '../../runtime/errors.ts';
import { parseObjectName } from '../objects/object-name.ts';
import { parseCommit } from '../objects/ostree-commit.ts';
import { parseDirtree } from '../objects/ostree-tree.ts';
import type { Walk } from './walk.ts';

const atOnce = 16;

/**
 * Walks through all that an OSTree commit holds: its tree, the trees and files in it, and the metadata of each. The commit
 * before it is history, and need not be here.
 */
export async function walkCommit(walk: Walk, commit: string): Promise<void> {
  const parsed = await readObject(walk, `${commit}.commit`, parseCommit);
  if (!parsed) return;
  walk.visit(`${parsed.meta}.dirmeta`);
  const seen = new Set<string>([parsed.tree]);
  let waiting: readonly string[] = [parsed.tree];
  while (waiting.length > 0) {
    const some = waiting.slice(0, atOnce);
    const found = await Promise.all(some.map(async (tree) => await walkTree(walk, tree)));
    const next = found.flat().filter((tree) => !seen.has(tree) && seen.add(tree));
    waiting = [...waiting.slice(atOnce), ...next];
  }
}

/** Notes what a tree holds; answers with the trees in it. */
async function walkTree(walk: Walk, tree: string): Promise<readonly string[]> {
  const parsed = await readObject(walk, `${tree}.dirtree`, parseDirtree);
  if (!parsed) return [];
  for (const file of parsed.files) walk.visit(`${file.checksum}.filez`);
  for (const folder of parsed.dirs) walk.visit(`${folder.meta}.dirmeta`);
  return parsed.dirs.map((folder) => folder.tree);
}

async function readObject<T>(walk: Walk, name: string, parse: (bytes: Buffer) => T): Promise<T | undefined> {
  const entry = walk.visit(name);
  const bytes = entry && (await walk.read(name, entry));
  if (!bytes) return undefined;
  try {
    return parse(bytes);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    walk.refuse(name, `cannot be read: ${error.message}`);
    return undefined;
  }
}

/** The commit that a piece of a static delta leads to; undefined for any other object. */
export function commitOfDelta(name: string): string | undefined {
  const parsed = parseObjectName(name);
  return parsed.kind === 'delta' ? parsed.to : undefined;
}
