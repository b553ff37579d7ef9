/** How many columns a text takes on a terminal; the text has no control characters. */
export function widthOf(text: string): number {
  if (plain.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes().segment(text)) width += widthOfGrapheme(segment);
  return width;
}

/** The text cut to at most so many columns, ending in `…` where something was cut. */
export function fit(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  if (columns < 1) return '';
  let kept = '';
  let width = 0;
  for (const { segment } of graphemes().segment(text)) {
    width += widthOfGrapheme(segment);
    if (width > columns - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}

/** The text filled up with blanks to so many columns. */
export function pad(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - widthOf(text)));
}

const plain = /^[ -~]*$/;
const wide =
  /\p{Emoji_Presentation}|\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\ufe0f|[\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u;
const invisible = /^[\p{Mark}\p{Format}]+$/u;

let segmenter: Intl.Segmenter | undefined;
/** Made late: it costs some 15 ms, and plain text needs none. */
function graphemes(): Intl.Segmenter {
  segmenter ??= new Intl.Segmenter('en', { granularity: 'grapheme' });
  return segmenter;
}

function widthOfGrapheme(grapheme: string): number {
  if (grapheme === '\t') return 8;
  if (invisible.test(grapheme)) return 0;
  return wide.test(grapheme) ? 2 : 1;
}
