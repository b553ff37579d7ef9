import { Problem } from '../../runtime/errors.ts';
import { membersOf } from './gvariant.ts';

/** The checksums that a commit is made of, in hex digits. */
export type OstreeCommit = {
  /** Of its root's `dirtree` and `dirmeta`. */
  readonly tree: string;
  readonly meta: string;
  /** Of the commit before it. */
  readonly parent?: string;
};

/**
 * Reads a commit (OSTREE_COMMIT_GVARIANT_FORMAT); throws `Problem('invalid')` for bytes that are none.
 * https://ostreedev.github.io/ostree/reference/ostree-Core-repository-independent-functions.html
 */
export function parseCommit(bytes: Buffer): OstreeCommit {
  const [, parent, , , , , tree, meta] = membersOf(bytes, ['a{sv}', 'ay', 'a(say)', 's', 's', 't', 'ay', 'ay']);
  const root = { tree: checksumOf(tree), meta: checksumOf(meta) };
  return parent.length === 0 ? root : { ...root, parent: checksumOf(parent) };
}

/** A checksum as OSTree keeps it, in hex digits; throws `Problem('invalid')` for what is none. */
export function checksumOf(bytes: Buffer): string {
  if (bytes.length !== 32) throw new Problem('invalid', 'it holds a checksum that is not 32 bytes long');
  return bytes.toString('hex');
}
