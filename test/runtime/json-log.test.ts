import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { jsonLog, type Log, type LogLevel } from '../../functions/runtime/log.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-log-'));
afterAll(() => rmSync(folder, { recursive: true }));

function written(tell: (log: Log) => void, level: LogLevel = 'info'): Record<string, unknown>[] {
  const file = join(folder, 'log');
  const fd = openSync(file, 'w');
  tell(jsonLog({ level, fd }));
  closeSync(fd);
  const lines = readFileSync(file, 'utf8').split('\n');
  expect(lines.pop()).toBe('');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('the log as JSON lines', () => {
  it('has the level, the time, the fields and the message of each line, in that order', () => {
    const [line] = written((log) => log.with({ requestId: 'r-1' }).warn('a task failed', { app: 'web', count: 2 }));
    expect(line).toEqual({
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      requestId: 'r-1',
      app: 'web',
      count: 2,
      message: 'a task failed',
    });
    expect(Object.keys(line ?? {})).toEqual(['level', 'time', 'requestId', 'app', 'count', 'message']);
  });

  it.each([
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['error', ['error']],
    ['silent', []],
  ] as const)('tells at %s only what is as grave', (level, told) => {
    const lines = written((log) => {
      for (const name of ['debug', 'info', 'warn', 'error'] as const) log.with({ a: 1 })[name]('x');
    }, level);
    expect(lines.map((line) => line['level'])).toEqual(told);
  });

  it('holds no secret field, however deep it is', () => {
    const secrets = { authorization: 'abc', token: 'abc', deep: { deeper: [{ password: 'abc', name: 'x' }] } };
    const [line] = written((log) => log.with({ key: 'abc' }).info('x', { ...secrets, value: ['abc'] }));
    expect(JSON.stringify(line)).not.toContain('abc');
    expect(line).toMatchObject({ token: '***', key: '***', deep: { deeper: [{ password: '***', name: 'x' }] } });
  });

  it('writes the message though its fields cannot be written', () => {
    const circle: Record<string, unknown> = {};
    circle['circle'] = circle;
    const [first, second] = written((log) => {
      log.info('a circle', { circle });
      log.info('a large number', { count: 1n });
    });
    expect(first).toMatchObject({ message: 'a circle', unwritable: ['circle'] });
    expect(second).toMatchObject({ message: 'a large number', unwritable: ['count'] });
  });

  it('lives on when its reader has gone away, and waits for a slow one', () => {
    const log = JSON.stringify(join(import.meta.dirname, '../../functions/runtime/log.ts'));
    const program = `import { jsonLog } from ${log};
      const log = jsonLog({ level: 'info' });
      for (let n = 0; n < 2000; n += 1) log.info('x'.repeat(1000));
      process.stderr.write('alive');`;
    const run = (after: string) =>
      spawnSync('/bin/sh', ['-c', `"$0" --input-type=module -e "$1" | ${after}`, process.execPath, program], {
        encoding: 'utf8',
      });
    expect(run('head -n 1')).toMatchObject({ stderr: 'alive', status: 0 });
    const slow = run('(sleep 0.2; wc -l)');
    expect([slow.stderr, slow.stdout.trim()]).toEqual(['alive', '2000']);
  });
});
