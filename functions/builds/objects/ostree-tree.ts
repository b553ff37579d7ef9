import { Problem } from '../../runtime/errors.ts';
import { elementsOf, membersOf, textOf } from './gvariant.ts';
import { checksumOf } from './ostree-commit.ts';

/** What a folder holds; checksums in hex digits. */
export type OstreeTree = {
  readonly files: readonly { readonly name: string; readonly checksum: string }[];
  readonly dirs: readonly { readonly name: string; readonly tree: string; readonly meta: string }[];
};

/**
 * Reads a `dirtree` (OSTREE_TREE_GVARIANT_FORMAT); throws `Problem('invalid')` for bytes that are none, and for a name
 * that would lead elsewhere or stands there twice.
 */
export function parseDirtree(bytes: Buffer): OstreeTree {
  const [files, dirs] = membersOf(bytes, ['a(say)', 'a(sayay)']);
  const names = new Set<string>();
  const nameOf = (member: Buffer): string => {
    const name = textOf(member);
    if (name === '' || name === '.' || name === '..' || name.includes('/'))
      throw new Problem(
        'invalid',
        `it holds the name ${JSON.stringify(name.slice(0, 100))}, which would lead elsewhere`,
      );
    if (names.has(name)) throw new Problem('invalid', `it holds the name ${JSON.stringify(name)} twice`);
    names.add(name);
    return name;
  };
  return {
    files: elementsOf(files).map((element) => {
      const [name, checksum] = membersOf(element, ['s', 'ay']);
      return { name: nameOf(name), checksum: checksumOf(checksum) };
    }),
    dirs: elementsOf(dirs).map((element) => {
      const [name, tree, meta] = membersOf(element, ['s', 'ay', 'ay']);
      return { name: nameOf(name), tree: checksumOf(tree), meta: checksumOf(meta) };
    }),
  };
}
