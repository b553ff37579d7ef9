import { open, type FileHandle } from 'node:fs/promises';
import type { LogLine, LogPage } from '../functions/ports/builder.ts';
import { Problem } from '../functions/runtime/errors.ts';
import type { EpochMs } from '../functions/runtime/units.ts';
import { codeOf } from './durable.ts';

/** Beyond this a log says that it is cut, and takes no more lines. */
export const largestLog = 32 * 1024 * 1024;
const pageBytes = 1024 * 1024;

export type BuildLog = {
  /** Resolves when the lines can be read. Throws when they cannot be written. */
  add(phase: string, lines: readonly string[]): Promise<void>;
  close(): Promise<void>;
};

/** Opens a build's log for writing: JSON lines of `{at, phase, text}`. */
export async function openBuildLog(
  path: string,
  options: { readonly clock: () => EpochMs; readonly maxBytes?: number },
): Promise<BuildLog> {
  const maxBytes = options.maxBytes ?? largestLog;
  const file = await open(path, 'a', 0o600);
  let bytes = (await file.stat()).size;
  let last: Promise<unknown> = Promise.resolve();

  async function write(phase: string, lines: readonly string[]): Promise<void> {
    if (bytes > maxBytes) return;
    const at = options.clock();
    let text = '';
    for (const line of lines) {
      text += lineOf({ at, phase, text: line });
      if (bytes + Buffer.byteLength(text) <= maxBytes) continue;
      text += lineOf({ at, phase, text: `The log ends here: it has reached ${maxBytes} bytes` });
      bytes = maxBytes + 1;
      break;
    }
    await file.appendFile(text);
    bytes += Buffer.byteLength(text);
  }

  return {
    async add(phase, lines) {
      const written = last.then(async () => await write(phase, lines));
      // A later write must not be held by an earlier one's failure, which its own caller has seen.
      last = written.catch(() => {});
      await written;
    },
    async close() {
      await last;
      await file.close();
    },
  };
}

/**
 * Whole lines after a cursor, which is a byte offset; a line that is half written is left for the next page. `ended`:
 * whether the build has, asked before the file is read, so that its last lines are not missed.
 */
export async function readBuildLog(
  path: string,
  query: { readonly after: string | undefined; readonly limit: number; readonly ended: boolean },
): Promise<LogPage> {
  const start = offsetOf(query.after);
  const file = await open(path, 'r').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (!file) return { lines: [], next: String(start), done: query.ended };
  try {
    const { lines, bytes, atEnd } = await readLines(file, start, query.limit);
    return { lines, next: String(start + bytes), done: query.ended && atEnd };
  } finally {
    await file.close();
  }
}

function lineOf(line: LogLine): string {
  return `${JSON.stringify(line)}\n`;
}

function offsetOf(after: string | undefined): number {
  if (after === undefined || after === '') return 0;
  if (!/^\d{1,15}$/.test(after)) throw badCursor();
  return Number(after);
}

async function readLines(file: FileHandle, start: number, limit: number) {
  // One byte before: a cursor that is ours stands behind the end of a line.
  const lead = start === 0 ? 0 : 1;
  const { bytesRead, buffer } = await file.read(Buffer.alloc(pageBytes), 0, pageBytes, start - lead);
  const chunk = buffer.subarray(lead, bytesRead);
  if (lead === 1 && (bytesRead === 0 || buffer[0] !== newline)) throw badCursor();
  const lines: LogLine[] = [];
  let bytes = 0;
  while (lines.length < limit) {
    const end = chunk.indexOf(newline, bytes);
    if (end < 0) break;
    lines.push(JSON.parse(chunk.subarray(bytes, end).toString()) as LogLine);
    bytes = end + 1;
  }
  return { lines, bytes, atEnd: bytesRead < pageBytes && chunk.indexOf(newline, bytes) < 0 };
}

const newline = 0x0a;

function badCursor(): Problem {
  const expected = 'the next of a page before';
  return new Problem('invalid', `after: expected ${expected}`, { issues: [{ field: 'after', expected }] });
}
