import { stripVTControlCharacters } from 'node:util';

/**
 * Text of others (build output, reasons, names) as one line that is safe to print: whole escape sequences are taken
 * out, and every control character left, and those that turn the direction of writing, is made visible. Nothing that
 * comes in can move the cursor, set the title, answer the terminal or hide the text beside it.
 * Of a line that overwrote itself with carriage returns (progress bars) the last state is shown.
 */
export function printable(text: string): string {
  const line = lastState(stripVTControlCharacters(text));
  return line.replaceAll(unsafe, (character) => visible(character));
}

/** The same for text of several lines. */
export function printableLines(text: string): readonly string[] {
  return text.split('\n').map((line) => printable(line));
}

/** One JSON document on one line in which nothing but letters reaches a terminal; it parses to the same value. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    unsafe,
    (character) => String.raw`\u` + character.charCodeAt(0).toString(16).padStart(4, '0'),
  );
}

// C0 without the tab, DEL, C1 (U+009B begins a sequence on some terminals), line separators, and direction controls:
// https://trojansource.codes
// oxlint-disable-next-line no-control-regex
const unsafe = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

function lastState(line: string): string {
  const states = line.split('\r').filter((state) => state !== '');
  return states.at(-1) ?? '';
}

/** Control pictures (U+2400 …) where Unicode has them. */
function visible(character: string): string {
  const code = character.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? '\u2421' : '\ufffd';
}
