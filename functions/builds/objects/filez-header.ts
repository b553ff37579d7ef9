import { Problem } from '../../runtime/errors.ts';
import { elementsOf, framingOffsets, membersOf, textOf } from './gvariant.ts';

/** What a `.filez` says before its content. */
export type FilezHeader = {
  readonly kind: 'file' | 'symlink';
  /** Of the content when it is unpacked. */
  readonly sizeBytes: number;
  /** What stands before the content in the bytes whose checksum is the object's name. */
  readonly prefix: Buffer;
};

/** The header's length in four bytes, and four more that are 0. */
export const filezStartBytes = 8;
/** Of the header alone; most of it are extended attributes, of which Linux allows 64 KiB a file. */
const mostHeaderBytes = 1024 ** 2;
/** No file of a tree is larger, and no stream that unpacks to more is worth its time. */
const mostContentBytes = 64 * 1024 ** 3;

const typeMask = 0o170_000;
const regular = 0o100_000;
const symlink = 0o120_000;

/** How long the header is, from its first eight bytes. Throws `Problem('invalid')` for what begins no `.filez`. */
export function filezHeaderBytes(start: Buffer): number {
  const length = start.readUInt32BE(0);
  if (start.readUInt32BE(4) !== 0 || length > mostHeaderBytes) throw malformed();
  return length;
}

/**
 * Reads the header of a `.filez`: `(tuuuusa(ayay))`, which are size, uid, gid, mode and rdev, all big-endian, the target
 * of a symbolic link, and extended attributes. The checksum goes over the same without the size, so the ends of its
 * members move by those eight bytes. Throws `Problem('invalid')` for what libostree would refuse or read otherwise.
 */
export function parseFilezHeader(bytes: Buffer): FilezHeader {
  const [size, , , mode, , target, attributes] = membersOf(bytes, ['t', 'u', 'u', 'u', 'u', 's', 'a(ayay)']);
  for (const attribute of elementsOf(attributes)) membersOf(attribute, ['ay', 'ay']);
  const kind = kindOf(mode.readUInt32BE(), textOf(target));
  const sizeBytes = size.readBigUInt64BE();
  if (sizeBytes > BigInt(kind === 'file' ? mostContentBytes : 0)) throw malformed();
  return { kind, sizeBytes: Number(sizeBytes), prefix: prefixOf(bytes.subarray(8, 24), target, attributes) };
}

function kindOf(mode: number, target: string): FilezHeader['kind'] {
  const kind = { [regular]: 'file', [symlink]: 'symlink' }[mode & typeMask] as FilezHeader['kind'] | undefined;
  if (kind === undefined || (mode & ~(typeMask | 0o7777)) !== 0) throw malformed();
  if ((kind === 'symlink') !== (target !== '')) throw malformed();
  return kind;
}

/** uid, gid, mode and rdev as they are, and the rest behind them: `(uuuusa(ayay))` with its length before it. */
function prefixOf(numbers: Buffer, target: Buffer, attributes: Buffer): Buffer {
  const members = Buffer.concat([numbers, target, attributes]);
  const header = Buffer.concat([members, framingOffsets(members.length, [numbers.length + target.length])]);
  const start = Buffer.alloc(filezStartBytes);
  start.writeUInt32BE(header.length);
  return Buffer.concat([start, header]);
}

function malformed(): Problem {
  return new Problem('invalid', 'its header is not that of an OSTree file');
}
