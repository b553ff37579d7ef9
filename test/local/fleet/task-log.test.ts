import { appendFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { captureLines } from '../../../local/fleet/output.ts';
import { taskLog } from '../../../local/fleet/task-log.ts';

describe('task log', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-log-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const line = (text: string) => ({ at: 1, phase: 't', text });
  const texts = (page: { lines: readonly { text: string }[] }) => page.lines.map(({ text }) => text);

  it('is read page by page, also over its files and a restart', async () => {
    const log = taskLog(folder, 'a.b.c', 300);
    for (let index = 0; index < 20; index++) await log.append(line(`line ${index}`));
    await log.close();
    const again = taskLog(folder, 'a.b.c', 300);
    await again.append(line('line 20'));
    let after: string | undefined;
    const seen: string[] = [];
    for (;;) {
      const page = await again.read({ limit: 3, ...(after !== undefined && { after }) });
      if (page.lines.length === 0) break;
      seen.push(...texts(page));
      after = page.next;
    }
    expect(seen.at(-1)).toBe('line 20');
    expect(seen).toEqual(Array.from({ length: seen.length }, (_, index) => `line ${21 - seen.length + index}`));
    await again.close();
  });

  it('keeps its newest four files, and a cursor into a removed one reads on from the oldest kept', async () => {
    const log = taskLog(folder, 'a.b.c', 200);
    await log.append(line('first'));
    const { next } = await log.read();
    for (let index = 0; index < 50; index++) await log.append(line(`line ${index}`));
    expect((await readdir(folder)).length).toBe(4);
    const page = await log.read({ after: next });
    expect(texts(page).at(-1)).toBe('line 49');
    expect(texts(page)).not.toContain('line 0');
    expect(texts(await log.read({ after: page.next }))).toEqual([]);
    await log.close();
  });

  it('passes over a line that a kill has torn, and reads a half-written one when it is whole', async () => {
    const log = taskLog(folder, 'a.b.c');
    await log.append(line('whole'));
    const [file = ''] = await readdir(folder);
    await appendFile(join(folder, file), '{"at":1,"phase":"t","te');
    const page = await log.read();
    expect(texts(page)).toEqual(['whole']);
    await appendFile(join(folder, file), 'xt":"late"}\n');
    expect(texts(await log.read({ after: page.next }))).toEqual(['late']);
    await appendFile(join(folder, file), '{"torn');
    await log.close();
    const again = taskLog(folder, 'a.b.c');
    await again.append(line('after the restart'));
    expect(texts(await again.read())).toEqual(['whole', 'late', 'after the restart']);
    await again.close();
  });

  it('keeps targets apart, and is gone when removed', async () => {
    const [one, two] = [taskLog(folder, 'a.b.c'), taskLog(folder, 'a.b.c2')];
    await one.append(line('one'));
    await two.append(line('two'));
    await one.remove();
    expect(texts(await one.read())).toEqual([]);
    expect(texts(await two.read())).toEqual(['two']);
    await two.remove();
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('captured output', () => {
  const capture = async (chunks: readonly (string | Buffer)[], secrets: readonly string[] = []) => {
    const lines: string[] = [];
    const stream = Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
    await captureLines(stream, { secrets, write: async (text) => void lines.push(text) });
    return lines;
  };

  it('comes line by line, however it was cut', async () => {
    const snow = Buffer.from('snow ☃\n');
    expect(await capture(['a', 'b\nc\r\n\nd', snow.subarray(0, 6), snow.subarray(6), 'rest'])).toEqual([
      'ab',
      'c',
      '',
      'dsnow ☃',
      'rest',
    ]);
  });

  it('has no secret in it, also not one of several lines', async () => {
    const lines = await capture(
      ['key=abc', 'def-123 and x\nfirst half\n'],
      ['abcdef-123', 'x', 'first half\nsecond half'],
    );
    expect(lines).toEqual(['key=*** and x', '***']);
  });

  it('cuts lines without end', async () => {
    const lines = await capture(Array.from({ length: 100 }, () => 'x'.repeat(10_000)));
    expect(Math.max(...lines.map((line) => line.length))).toBe(16_384);
  });
});
