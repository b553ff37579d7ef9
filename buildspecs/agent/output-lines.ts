import { StringDecoder } from 'node:string_decoder';

/** A longer line is cut, and its rest dropped: one line of a minified file must not fill a page of a log. */
export const longestLine = 16 * 1024;

/**
 * The lines of a process's output, in groups as they arrive; at its end also what was not ended by a newline. A carriage
 * return, by which programs draw progress over the same line, ends a line too.
 */
export async function* outputLines(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<readonly string[]> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let cutting = false;
  for await (const chunk of chunks) {
    const parts = (rest + decoder.write(Buffer.from(chunk))).split(/\r\n|\n|\r(?!$)/);
    rest = parts.pop() ?? '';
    const lines = cutting ? parts.slice(1) : parts;
    if (parts.length > 0) cutting = false;
    const whole = lines.map(cut);
    if (rest.length > longestLine) {
      if (!cutting) whole.push(cut(rest));
      cutting = true;
      rest = '';
    }
    if (whole.length > 0) yield whole;
  }
  rest = (rest + decoder.end()).replace(/\r$/, '');
  if (rest !== '' && !cutting) yield [cut(rest)];
}

function cut(line: string): string {
  return line.length > longestLine ? `${line.slice(0, longestLine).toWellFormed()} … (cut)` : line;
}
