import { Problem } from '../../runtime/errors.ts';

/**
 * What we need of GVariant, the form of OSTree's metadata: tuples and arrays are cut into the bytes of their members.
 * https://docs.gtk.org/glib/gvariant-specification-1.0.html
 *
 * A container ends with the ends of its members whose size varies ("framing offsets"), each in as many bytes as the
 * container's own size needs. Bytes that break a rule are refused: GLib would take them for empty values, and whoever
 * reads them another way would see another thing.
 */
export type GVariantType = 'u' | 't' | 's' | 'ay' | 'a{sv}' | 'a(say)' | 'a(sayay)' | 'a(ayay)';

const fixedSizes: Partial<Record<GVariantType, number>> = { u: 4, t: 8 };
const alignments: Partial<Record<GVariantType, number>> = { u: 4, t: 8, 'a{sv}': 8 };

/** The bytes of each member of a tuple; throws `Problem('invalid')`. */
export function membersOf<const T extends readonly GVariantType[]>(
  bytes: Buffer,
  types: T,
): { readonly [K in keyof T]: Buffer } {
  const width = offsetWidth(bytes.length);
  const lastVaries = fixedSizes[types.at(-1) ?? 'u'] === undefined;
  const offsets = types.filter((type) => fixedSizes[type] === undefined).length - (lastVaries ? 1 : 0);
  const limit = bytes.length - offsets * width;
  let start = 0;
  // The first member's end is the last of them.
  let offsetAt = bytes.length;
  const nextOffset = (): number => {
    offsetAt -= width;
    return offsetAt < 0 ? -1 : unsigned(bytes, offsetAt, width);
  };
  const members = types.map((type, index) => {
    const size = fixedSizes[type];
    start = aligned(start, alignments[type] ?? 1);
    const end = size === undefined ? (index === types.length - 1 ? limit : nextOffset()) : start + size;
    if (end < start || end > limit) throw malformed();
    const member = bytes.subarray(start, end);
    start = end;
    return member;
  });
  if (start !== limit) throw malformed();
  return members as unknown as { readonly [K in keyof T]: Buffer };
}

/** The bytes of each element of an array whose elements vary in size and stand anywhere; throws `Problem('invalid')`. */
export function elementsOf(bytes: Buffer): readonly Buffer[] {
  if (bytes.length === 0) return [];
  const width = offsetWidth(bytes.length);
  const limit = bytes.length < width ? -1 : unsigned(bytes, bytes.length - width, width);
  const count = (bytes.length - limit) / width;
  if (limit < 0 || limit >= bytes.length || !Number.isInteger(count)) throw malformed();
  const elements: Buffer[] = [];
  for (let index = 0, start = 0; index < count; index += 1) {
    const end = unsigned(bytes, limit + index * width, width);
    if (end < start || end > limit) throw malformed();
    elements.push(bytes.subarray(start, end));
    start = end;
  }
  return elements;
}

/** The text of an `s`; throws `Problem('invalid')` for what does not end, or is not UTF-8. */
export function textOf(bytes: Buffer): string {
  if (bytes.length === 0 || bytes.indexOf(0) !== bytes.length - 1) throw malformed();
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, -1));
  } catch {
    throw malformed();
  }
}

/** What follows the members of a tuple that stand one behind the other without gaps: these ends, the first one last. */
export function framingOffsets(membersSize: number, ends: readonly number[]): Buffer {
  const width = [1, 2, 4].find((width) => membersSize + ends.length * width < 256 ** width) ?? 8;
  const offsets = ends.toReversed().map((end) => {
    const offset = Buffer.alloc(8);
    offset.writeBigUInt64LE(BigInt(end));
    return offset.subarray(0, width);
  });
  return Buffer.concat(offsets);
}

function offsetWidth(size: number): number {
  return [1, 2, 4].find((width) => size < 256 ** width) ?? 8;
}

function unsigned(bytes: Buffer, at: number, width: number): number {
  // No container of ours is so large that its first four bytes of eight would not do.
  return bytes.readUIntLE(at, Math.min(width, 6));
}

function aligned(at: number, alignment: number): number {
  return Math.ceil(at / alignment) * alignment;
}

function malformed(): Problem {
  return new Problem('invalid', 'it is not well-formed metadata of OSTree');
}
