import type { Style } from './style.ts';
import { printable } from './terminal-text.ts';
import { fit, pad, widthOf } from './width.ts';

export type Column<Row> = {
  readonly title: string;
  readonly cell: (row: Row) => string;
  /** Gives up columns first when the terminal is too narrow. */
  readonly shrinks?: boolean;
};

/**
 * Aligned lines under a line of titles; columns that are empty throughout are left out. On a terminal the lines fit
 * its width; elsewhere nothing is cut.
 */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[], style: Style): readonly string[] {
  const all = columns.map((column) => ({ ...column, cells: rows.map((row) => printable(column.cell(row))) }));
  const shown = all.filter((column) => column.cells.some((cell) => cell !== ''));
  const widths = fitted(shown, style.columns);
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, index) => pad(fit(cell, widths[index] ?? 0), widths[index] ?? 0))
      .join(gap)
      .trimEnd();
  return [
    style.paint('dim', line(shown.map((column) => column.title))),
    ...rows.map((_row, index) => line(shown.map((column) => column.cells[index] ?? ''))),
  ];
}

const gap = '  ';
const narrowest = 8;

type Filled = { readonly title: string; readonly shrinks?: boolean; readonly cells: readonly string[] };

function fitted(columns: readonly Filled[], available: number | undefined): readonly number[] {
  const widths = columns.map((column) => Math.max(widthOf(column.title), ...column.cells.map((cell) => widthOf(cell))));
  if (available === undefined) return widths;
  let excess = widths.reduce((sum, width) => sum + width + gap.length, -gap.length) - available;
  for (const [index, column] of columns.entries()) {
    const width = widths[index] ?? 0;
    if (excess <= 0 || !column.shrinks) continue;
    const given = Math.min(excess, Math.max(0, width - Math.max(narrowest, widthOf(column.title))));
    widths[index] = width - given;
    excess -= given;
  }
  return widths;
}
