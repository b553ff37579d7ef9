import { describe, expect, it } from 'vitest';
import { printable, printableJson } from '../../cli/terminal-text.ts';
import { styleOf } from '../../cli/style.ts';
import { table } from '../../cli/table.ts';
import { ago, span } from '../../cli/times.ts';
import { fit, pad, widthOf } from '../../cli/width.ts';
import { createTestWorld } from './test-world.ts';

const esc = '\u001b';
// oxlint-disable-next-line no-control-regex -- what must not be left
const control = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/;

describe('text of others', () => {
  it.each([
    ['colours', `${esc}[31mred${esc}[0m`, 'red'],
    ['cursor movements', `a${esc}[2Ab${esc}[Hc`, 'abc'],
    ['a window title', `${esc}]0;owned\u0007text`, 'text'],
    ['a link', `${esc}]8;;https://evil.example${esc}\\text${esc}]8;;${esc}\\`, 'text'],
    ['a sequence hidden in another', `${esc}${esc}[0m[2J`, '␛[2J'],
    ['a sequence that is cut off', `text${esc}[`, 'text␛['],
    ['the one-byte form of a sequence', 'a\u009b2Jb', 'ab'],
    ['a bell and a backspace', 'a\u0007b\u0008c', 'a␇b␈c'],
    ['a line break', 'a\nsluice: all is well', 'a␊sluice: all is well'],
    ['turned writing direction', 'a\u202eb', 'a\ufffdb'],
    ['a progress bar that overwrites itself', '10%\r50%\r100%\r', '100%'],
  ])('%s cannot reach the terminal', (_what, text, expected) => {
    expect(printable(text)).toBe(expected);
    expect(printable(text)).not.toMatch(control);
  });

  it('keeps tabs and letters of every script', () => {
    expect(printable('a\tб 漢 é 🎉')).toBe('a\tб 漢 é 🎉');
  });

  it('is escaped in JSON, and parses to the same', () => {
    const value = { text: `${esc}[2J\u009b\u007f\u202e\n` };
    expect(printableJson(value)).not.toMatch(/[^ -~]/);
    expect(JSON.parse(printableJson(value))).toEqual(value);
  });
});

describe('columns', () => {
  it('counts wide letters twice and marks not at all', () => {
    expect([widthOf('abc'), widthOf('漢字'), widthOf('e\u0301'), widthOf('👩‍👩‍👧'), widthOf('')]).toEqual([3, 4, 1, 2, 0]);
  });

  it('cuts to the width and never through a letter', () => {
    expect(fit('abcdef', 4)).toBe('abc…');
    expect(fit('漢字漢', 4)).toBe('漢…');
    expect(fit('abc', 3)).toBe('abc');
    expect(fit('abc', 0)).toBe('');
    expect(pad('漢', 4)).toBe('漢  ');
  });
});

describe('tables', () => {
  const rows = [
    { name: 'a', text: 'short', none: '' },
    { name: 'longer', text: `${esc}[2Ja rather long text that goes on`, none: '' },
  ];
  const columns = [
    { title: 'NAME', cell: (row: (typeof rows)[0]) => row.name },
    { title: 'NONE', cell: (row: (typeof rows)[0]) => row.none },
    { title: 'TEXT', cell: (row: (typeof rows)[0]) => row.text, shrinks: true },
  ];
  const plain = { live: false, columns: undefined, paint: (_tone: unknown, text: string) => text };

  it('are aligned, without empty columns and without codes of others', () => {
    expect(table(rows, columns, plain)).toEqual([
      'NAME    TEXT',
      'a       short',
      'longer  a rather long text that goes on',
    ]);
  });

  it('fit a narrow terminal', () => {
    expect(table(rows, columns, { ...plain, columns: 20 })).toEqual([
      'NAME    TEXT',
      'a       short',
      'longer  a rather lo…',
    ]);
  });
});

describe('times', () => {
  it.each([
    [0, '0 s'],
    [800, '0.8 s'],
    [42_000, '42 s'],
    [59_700, '1 min'],
    [185_000, '3 min 5 s'],
    [7_800_000, '2 h 10 min'],
    [100 * 3_600_000, '4 d 4 h'],
    [-5, '0 s'],
  ])('%i ms are %s', (milliseconds, expected) => expect(span(milliseconds)).toBe(expected));

  it.each([
    ['2026-11-20T09:59:58Z', 'just now'],
    ['2026-11-20T10:00:40Z', 'just now'],
    ['2026-11-20T09:55:00Z', '5 min ago'],
    ['2026-11-20T07:00:00Z', '3 h ago'],
    ['2026-11-15T10:00:00Z', '5 d ago'],
    ['2026-10-01T10:00:00Z', '2026-10-01'],
    ['nonsense', '-'],
  ])('%s was %s', (time, expected) => expect(ago(time, Date.parse('2026-11-20T10:00:00Z'))).toBe(expected));
});

describe('cursor codes and colours', () => {
  const live = (terminal: boolean, env: Record<string, string> = {}, json = false) =>
    styleOf(createTestWorld({ terminal }).stdout, env, json).live;

  it('are for terminals only', () => {
    expect(live(true)).toBe(true);
    expect(live(true, { CI: 'false', NO_COLOR: '' })).toBe(true);
    expect(live(false)).toBe(false);
    expect(live(true, { CI: 'true' })).toBe(false);
    expect(live(true, { NO_COLOR: '1' })).toBe(false);
    expect(live(true, { TERM: 'dumb' })).toBe(false);
    expect(live(true, {}, true)).toBe(false);
  });
});
