import type { Style, Tone } from '../style.ts';
import { fit, widthOf } from '../width.ts';
import type { Output } from '../world.ts';

/** A piece of a line; its text is safe to print. */
export type Cell = {
  readonly text: string;
  /** Stands for it where the line would not fit. */
  readonly short?: string;
  readonly tone?: Tone;
};
export type Line = readonly Cell[];

/** The last lines of a terminal, drawn again in place, under all that is printed once. */
export type LiveRegion = {
  /** What stands there from now on. */
  readonly show: (lines: readonly Line[]) => void;
  /** Prints lines for good, above the region. */
  readonly print: (lines: readonly string[]) => void;
  /** Takes the region away and lets go of the terminal. */
  readonly close: () => void;
};

export function createLiveRegion(output: Output, style: Style): LiveRegion {
  let lines: readonly Line[] = [];
  let drawnWidths: readonly number[] = [];
  const redraw = (above: readonly string[] = []) => {
    const erased = erase(drawnWidths, output);
    const shown = withinRows(lines, output.rows());
    const drawn = shown.map((line) => draw(line, output.columns() - 1, style));
    drawnWidths = drawn.map(({ width }) => width);
    const texts = [...above, ...drawn.map(({ text }) => text)];
    output.write(erased + texts.map((text) => `${text}\n`).join(''));
  };
  const stopListening = output.onResize(() => redraw());
  return {
    show: (next) => {
      lines = next;
      redraw();
    },
    print: (above) => redraw(above),
    close: () => {
      stopListening();
      lines = [];
      redraw();
    },
  };
}

/** Up to the region's first row and everything beneath away. A terminal made narrower has broken our lines in two. */
function erase(widths: readonly number[], output: Output): string {
  if (widths.length === 0) return '';
  const rows = widths.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / output.columns())), 0);
  return `\u001b[${Math.min(rows, output.rows() - 1)}A\r\u001b[J`;
}

/** What has scrolled off cannot be drawn again, so the region never fills the screen. */
function withinRows(lines: readonly Line[], rows: number): readonly Line[] {
  const most = Math.max(1, rows - 2);
  if (lines.length <= most) return lines;
  const kept = lines.slice(0, most - 1);
  return [...kept, [{ text: `  … and ${lines.length - kept.length} more`, tone: 'dim' }]];
}

function draw(line: Line, columns: number, style: Style): { text: string; width: number } {
  const whole = line.reduce((sum, cell) => sum + widthOf(cell.text), 0);
  let text = '';
  let width = 0;
  for (const cell of line) {
    const piece = fit(whole > columns ? (cell.short ?? cell.text) : cell.text, columns - width);
    width += widthOf(piece);
    text += cell.tone === undefined ? piece : style.paint(cell.tone, piece);
  }
  return { text, width };
}
