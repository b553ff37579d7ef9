import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

const maxLineChars = 16_384;

/**
 * Reads a task's output line by line and hands each to `write`, which slows the task when it is slow. Lines are cut at
 * 16,384 characters; the values of `secrets` are blotted out, should the task print one.
 */
export async function captureLines(
  stream: Readable,
  options: { secrets: readonly string[]; write: (text: string) => Promise<void> },
): Promise<void> {
  const blot = blotter(options.secrets);
  const decoder = new StringDecoder('utf8');
  let rest = '';
  try {
    for await (const chunk of stream) {
      const lines = (rest + decoder.write(chunk as Buffer)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) await options.write(blot(line.replace(/\r$/, '')).slice(0, maxLineChars));
      if (rest.length > maxLineChars * 2) {
        await options.write(blot(rest).slice(0, maxLineChars));
        rest = '';
      }
    }
  } catch {
    // The stream broke with its process: what came is kept.
  }
  if (rest !== '') await options.write(blot(rest).slice(0, maxLineChars));
}

/** Short values are left: blotting out every `1` would make a log unreadable and hide nothing. */
function blotter(secrets: readonly string[]): (line: string) => string {
  const parts = secrets
    .flatMap((secret) => secret.split(/\r?\n/))
    .filter((part) => part.length >= 6)
    .sort((a, b) => b.length - a.length);
  return (line) => parts.reduce((text, part) => text.replaceAll(part, '***'), line);
}
