import { mkdir, open, readdir, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { LogLine, LogPage } from '../../functions/ports/builder.ts';

/**
 * The output of a target's tasks, in files `<name>.<offset>.log` of at most `segmentBytes` (4 MB), the newest four kept.
 * `offset` is where the file begins in the whole of what was ever written, so a cursor stays true when files go.
 */
export type TaskLog = {
  append(line: LogLine): Promise<void>;
  read(query?: { after?: string; limit?: number }): Promise<Omit<LogPage, 'done'>>;
  /** Resolves when what was appended is written. */
  close(): Promise<void>;
  remove(): Promise<void>;
};

const keptSegments = 4;

export function taskLog(folder: string, name: string, segmentBytes = 4 * 1024 * 1024): TaskLog {
  let current: { handle: FileHandle; start: number; size: number } | undefined;
  let queue: Promise<unknown> = Promise.resolve();

  const append = async (line: LogLine) => {
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    if (current && current.size + bytes.length > segmentBytes) {
      await current.handle.close();
      current = undefined;
    }
    // Always a new file after a start: the old one may end in a torn line.
    current ??= await newSegment(folder, name);
    await current.handle.write(bytes);
    current.size += bytes.length;
  };
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = queue.then(work);
    queue = done.catch(() => {});
    return done;
  };
  const close = async () => {
    await current?.handle.close();
    current = undefined;
  };
  return {
    append: (line) => inTurn(() => append(line)),
    read: (query) => readPage(folder, name, query),
    close: () => inTurn(close),
    remove: () =>
      inTurn(async () => {
        await close();
        for (const segment of await segments(folder, name)) await rm(segment.path, { force: true });
      }),
  };
}

type Segment = { readonly path: string; readonly start: number; readonly size: number };

async function segments(folder: string, name: string): Promise<readonly Segment[]> {
  const found: Segment[] = [];
  for (const file of await readdir(folder).catch(() => [])) {
    const start = file.startsWith(`${name}.`) ? /^(\d+)\.log$/.exec(file.slice(name.length + 1))?.[1] : undefined;
    if (start === undefined) continue;
    const path = join(folder, file);
    const handle = await open(path).catch(() => undefined);
    if (!handle) continue;
    found.push({ path, start: Number(start), size: (await handle.stat()).size });
    await handle.close();
  }
  return found.sort((a, b) => a.start - b.start);
}

async function newSegment(folder: string, name: string) {
  await mkdir(folder, { recursive: true });
  const before = await segments(folder, name);
  for (const old of before.slice(0, Math.max(0, before.length - keptSegments + 1))) await rm(old.path, { force: true });
  const last = before.at(-1);
  // An empty last file has the very name of the next.
  const start = last ? last.start + last.size : 0;
  const handle = await open(join(folder, `${name}.${String(start).padStart(15, '0')}.log`), 'a', 0o600);
  return { handle, start, size: 0 };
}

async function readPage(
  folder: string,
  name: string,
  { after, limit = 1000 }: { after?: string; limit?: number } = {},
): Promise<Omit<LogPage, 'done'>> {
  let cursor = after !== undefined && /^\d{1,15}$/.test(after) ? Number(after) : 0;
  const lines: LogLine[] = [];
  for (const segment of await segments(folder, name)) {
    if (segment.start + segment.size <= cursor) continue;
    cursor = Math.max(cursor, segment.start);
    const page = await readLines(segment, { from: cursor - segment.start, limit: limit - lines.length });
    lines.push(...page.lines);
    cursor = segment.start + page.end;
    if (lines.length >= limit) break;
  }
  return { lines, next: String(cursor) };
}

/** Whole lines of a file from a byte on; `end` is the byte after the last of them. */
async function readLines(segment: Segment, { from, limit }: { from: number; limit: number }) {
  const lines: LogLine[] = [];
  const handle = await open(segment.path).catch(() => undefined);
  if (!handle) return { lines, end: segment.size };
  try {
    const bytes = Buffer.alloc(Math.max(0, segment.size - from));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, from);
    let position = 0;
    while (lines.length < limit) {
      const newline = bytes.subarray(0, bytesRead).indexOf(10, position);
      if (newline < 0) break;
      const line = parseLine(bytes.toString('utf8', position, newline));
      if (line) lines.push(line);
      position = newline + 1;
    }
    return { lines, end: from + position };
  } finally {
    await handle.close();
  }
}

function parseLine(text: string): LogLine | undefined {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return undefined; // Torn by a kill, or the cursor was not one of ours.
  }
}
