import { lstat, readlink, realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, sep } from 'node:path';
import { Problem } from '../../functions/runtime/errors.ts';
import { sourcePathIssue } from '../../functions/apps/names.ts';

/**
 * The real path of a file or folder of the source. Throws `Problem('invalid')` naming the field when there is none, or
 * when the path leaves the source, be it by a symbolic link.
 */
export async function pathInside(root: string, path: string, field: string): Promise<string> {
  const issue = sourcePathIssue(path);
  if (issue !== undefined) throw invalid(field, issue);
  const base = await realpath(root);
  const real = await realpath(join(base, path)).catch(() => undefined);
  if (real === undefined) throw invalid(field, `something that the source has; it has no ${path}`);
  if (!isInside(base, real)) throw invalid(field, 'a path inside the source; a symbolic link leads out of it');
  return real;
}

/**
 * Whether a symbolic link leads to a place within `root`, there or not, wherever the tree may be unpacked: relative,
 * and outside at no step of the way. `root` and the link's folder are real paths.
 */
export async function linkStaysInside(root: string, link: string): Promise<boolean> {
  const steps = await resolveWithin(root, { from: dirname(link), target: await readlink(link), links: 0 });
  return steps !== undefined;
}

type Way = { readonly from: string; readonly target: string; readonly links: number };

async function resolveWithin(root: string, { from, target, links }: Way): Promise<string | undefined> {
  if (isAbsolute(target) || links > 40) return undefined;
  let at = from;
  for (const part of target.split('/')) {
    if (part === '' || part === '.') continue;
    const next = part === '..' ? dirname(at) : join(at, part);
    if (!isInside(root, next)) return undefined;
    const isLink = await lstat(next).then(
      (stats) => stats.isSymbolicLink(),
      () => false,
    );
    const reached = isLink
      ? await resolveWithin(root, { from: at, target: await readlink(next), links: links + 1 })
      : next;
    if (reached === undefined) return undefined;
    at = reached;
  }
  return at;
}

function isInside(root: string, path: string): boolean {
  return path === root || path.startsWith(root + sep);
}

function invalid(field: string, expected: string): Problem {
  return new Problem('invalid', `${field}: expected ${expected}`, { issues: [{ field, expected }] });
}
