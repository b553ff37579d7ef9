import { Problem } from '../../runtime/errors.ts';
import type { Digest } from '../../runtime/units.ts';

/** What an object is, by its name; `digest` where the name is the SHA-256 of the object's bytes. */
export type ObjectName =
  | {
      /** `blob`: ours, anything; the others are OSTree's metadata. */
      readonly kind: 'blob' | 'commit' | 'dirtree' | 'dirmeta';
      readonly hex: string;
      readonly digest: Digest;
    }
  /** A file of an OSTree repository: the name is the checksum of what is packed in it. */
  | { readonly kind: 'filez'; readonly hex: string; readonly digest?: undefined }
  /** A piece of a static delta that leads to the commit `to`: from another one, or from nothing. */
  | {
      readonly kind: 'delta';
      readonly from: string | undefined;
      readonly to: string;
      readonly piece: string;
      readonly digest?: undefined;
    };

/** What the name says; undefined for what no object can be called. */
export function findObjectName(name: string): ObjectName | undefined {
  const [, hex, extension] = /^([0-9a-f]{64})\.(blob|commit|dirtree|dirmeta|filez)$/.exec(name) ?? [];
  if (hex !== undefined) {
    const kind = extension as 'blob' | 'commit' | 'dirtree' | 'dirmeta' | 'filez';
    return kind === 'filez' ? { kind, hex } : { kind, hex, digest: `sha256:${hex}` };
  }
  const [, first, second, piece] = deltaPattern.exec(name) ?? [];
  if (first === undefined || piece === undefined) return undefined;
  const [from, to] = second === undefined ? [undefined, hexOf(first)] : [hexOf(first), hexOf(second)];
  return { kind: 'delta', from, to, piece };
}

/** The same; throws `Problem('invalid')` for what no object can be called. */
export function parseObjectName(name: string): ObjectName {
  const found = findObjectName(name);
  if (found) return found;
  const shown = JSON.stringify(name.length > 100 ? `${name.slice(0, 99)}…` : name);
  throw new Problem(
    'invalid',
    `${shown} is no name of an object: it must be 64 lower-case hex digits and one of .blob, .commit, .dirtree, ` +
      '.dirmeta, .filez, or a piece of a static delta',
  );
}

/** OSTree's base64 of one commit or two: `_` stands for `/`, as a name may hold none, and nothing fills it up. */
const deltaPattern = /^([\w+]{43})(?:-([\w+]{43}))?\.(superblock|\d{1,9})\.delta$/;

function hexOf(base64: string): string {
  return Buffer.from(base64.replaceAll('_', '/'), 'base64').toString('hex');
}
