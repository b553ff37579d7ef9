/** As much of a terminal as our output needs: lines that wrap and scroll, going up, and clearing to the end. */
export class Screen {
  readonly #columns: number;
  readonly #rows: number;
  readonly #lines: string[] = [''];
  #row = 0;
  #column = 0;

  constructor(columns: number, rows: number) {
    this.#columns = columns;
    this.#rows = rows;
  }

  /** All lines, those that have scrolled off as well, without blank ones at the end. */
  lines(): readonly string[] {
    const lines = this.#lines.map((line) => line.trimEnd());
    while (lines.at(-1) === '') lines.pop();
    return lines;
  }

  /** What stood on an endless screen each time before something was taken away. */
  static states(output: string, columns: number): readonly string[] {
    const screen = new Screen(columns, Number.MAX_SAFE_INTEGER);
    return output.split(beforeUp).map((part) => {
      screen.write(part);
      return `${screen.lines().join('\n')}\n`;
    });
  }

  write(output: string): void {
    for (const [piece, up] of output.matchAll(pieces)) {
      if (piece.endsWith('A') && piece.length > 1) this.#up(Number(up));
      else if (piece.endsWith('J') && piece.length > 1) this.#clear();
      else if (piece === '\r') this.#column = 0;
      else if (piece === '\n') this.#newLine();
      else if (piece.length === 1) this.#put(piece);
    }
  }

  /** What has scrolled off is out of reach. */
  #up(count: number): void {
    this.#row = Math.max(this.#row - count, this.#lines.length - this.#rows, 0);
  }

  #clear(): void {
    this.#lines.length = this.#row + 1;
    this.#lines[this.#row] = this.#line().slice(0, this.#column);
  }

  #newLine(): void {
    this.#row += 1;
    this.#column = 0;
    this.#lines[this.#row] ??= '';
  }

  #put(character: string): void {
    if (this.#column === this.#columns) this.#newLine();
    const line = this.#line().padEnd(this.#column);
    this.#lines[this.#row] = line.slice(0, this.#column) + character + line.slice(this.#column + 1);
    this.#column += 1;
  }

  #line(): string {
    return this.#lines[this.#row] ?? '';
  }
}

// oxlint-disable-next-line no-control-regex
const beforeUp = /(?=\u001b\[\d+A)/;
// oxlint-disable-next-line no-control-regex
const pieces = /\u001b\[(\d*)[AJm]|[^]/gu;
