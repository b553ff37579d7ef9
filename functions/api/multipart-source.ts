/**
 * A stream of bytes of which only what is needed next is held: one chunk of it, and a little of the one before.
 * Nothing is asked for that was not asked for here, so whoever takes the bytes slowly slows the sender.
 */
export type ByteSource = {
  /** The bytes up to a mark, without it: the mark is taken as well. Undefined when `most` bytes hold none. */
  until(mark: Buffer, most: number): Promise<Buffer | undefined>;
  /** Just so many bytes, or what is left when there are fewer. */
  take(count: number): Promise<Buffer>;
  /** The bytes up to a mark in pieces as they come; the mark is taken as well. Its value: whether the mark came. */
  streamUntil(mark: Buffer): AsyncGenerator<Buffer, boolean>;
};

export function byteSource(chunks: AsyncIterator<Uint8Array>, before: Buffer): ByteSource {
  let held = before;
  const more = async (): Promise<boolean> => {
    const { done, value } = await chunks.next();
    if (done) return false;
    const chunk = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    return true;
  };
  const drop = (count: number): Buffer => {
    const dropped = held.subarray(0, count);
    held = held.subarray(count);
    return dropped;
  };

  return {
    async until(mark, most) {
      for (;;) {
        const at = held.indexOf(mark);
        if (at >= 0 && at <= most) return drop(at + mark.length).subarray(0, at);
        if (at >= 0 || held.length > most + mark.length || !(await more())) return undefined;
      }
    },
    async take(count) {
      while (held.length < count && (await more()));
      return drop(count);
    },
    async *streamUntil(mark) {
      for (;;) {
        const at = held.indexOf(mark);
        if (at >= 0) {
          const last = drop(at + mark.length).subarray(0, at);
          if (last.length > 0) yield last;
          return true;
        }
        const free = held.length - startOf(mark, held);
        if (free > 0) yield drop(free);
        if (!(await more())) return false;
      }
    },
  };
}

/** How many bytes at the end of `bytes` may be the beginning of a mark that comes in with the next ones. */
function startOf(mark: Buffer, bytes: Buffer): number {
  const from = Math.max(0, bytes.length - mark.length + 1);
  for (let at = bytes.indexOf(mark[0] ?? 0, from); at >= 0; at = bytes.indexOf(mark[0] ?? 0, at + 1)) {
    if (bytes.subarray(at).equals(mark.subarray(0, bytes.length - at))) return bytes.length - at;
  }
  return 0;
}
