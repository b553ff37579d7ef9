/**
 * As much of GVariant's format as OSTree's commits and trees need, little: the places where the members of a tuple or
 * an array end stand behind them, in as few bytes as can hold the container's size
 * (https://developer-old.gnome.org/gvariant-specification/).
 */

/** What the root of a commit is made of, both in hex. Throws `RangeError` for bytes that are no commit. */
export function parseCommit(bytes: Buffer): { readonly tree: string; readonly meta: string } {
  // (a{sv}aya(say)sstayay): the time, which has no end written down, begins where eight bytes are whole.
  const ends = framing(bytes, 6);
  const tree = bytes.subarray(align8(ends.at(4)) + 8, ends.at(5));
  const meta = bytes.subarray(ends.at(5), ends.bodyEnd);
  return { tree: checksum(tree), meta: checksum(meta) };
}

export type Tree = {
  /** Checksums of files, in hex. */
  readonly files: readonly string[];
  readonly folders: readonly { readonly tree: string; readonly meta: string }[];
};

/** What a folder holds; names are not needed. Throws `RangeError`. */
export function parseTree(bytes: Buffer): Tree {
  // (a(say)a(sayay))
  const ends = framing(bytes, 1);
  const files = elements(bytes.subarray(0, ends.at(0))).map((file) => {
    const inner = framing(file, 1);
    return checksum(file.subarray(inner.at(0), inner.bodyEnd));
  });
  const folders = elements(bytes.subarray(ends.at(0), ends.bodyEnd)).map((folder) => {
    const inner = framing(folder, 2);
    return {
      tree: checksum(folder.subarray(inner.at(0), inner.at(1))),
      meta: checksum(folder.subarray(inner.at(1), inner.bodyEnd)),
    };
  });
  return { files, folders };
}

type Framing = { readonly at: (index: number) => number; readonly bodyEnd: number };

/** The ends of a tuple's members but the last, which are written from the back. */
function framing(bytes: Buffer, count: number): Framing {
  const width = offsetWidth(bytes.length);
  const bodyEnd = bytes.length - count * width;
  if (bodyEnd < 0) throw new RangeError('a tuple is too short');
  return {
    bodyEnd,
    at: (index) => within(bytes.readUIntLE(bytes.length - (index + 1) * width, width), bodyEnd),
  };
}

/** The members of an array, whose ends stand behind them in their order; the last of them says where they begin. */
function elements(bytes: Buffer): readonly Buffer[] {
  if (bytes.length === 0) return [];
  const width = offsetWidth(bytes.length);
  const table = within(bytes.readUIntLE(bytes.length - width, width), bytes.length - width);
  const count = (bytes.length - table) / width;
  if (!Number.isInteger(count)) throw new RangeError('an array has a broken table');
  let start = 0;
  return Array.from({ length: count }, (_, index) => {
    const end = within(bytes.readUIntLE(table + index * width, width), table);
    const element = bytes.subarray(start, end);
    if (end < start) throw new RangeError('the members of an array overlap');
    start = end;
    return element;
  });
}

function offsetWidth(size: number): 1 | 2 | 4 {
  if (size <= 0xff) return 1;
  return size <= 0xff_ff ? 2 : 4;
}

function align8(offset: number): number {
  return Math.ceil(offset / 8) * 8;
}

function within(offset: number, end: number): number {
  if (offset > end) throw new RangeError('a member ends outside');
  return offset;
}

function checksum(bytes: Buffer): string {
  if (bytes.length !== 32) throw new RangeError('a checksum has 32 bytes');
  return bytes.toString('hex');
}
