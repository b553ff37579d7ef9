import { describe, expect, it } from 'vitest';
import { terminalLog, type LogLevel } from '../../functions/runtime/log.ts';

function shown(write: (log: ReturnType<typeof terminalLog>) => void, level: LogLevel = 'info'): string[] {
  const lines: string[] = [];
  write(terminalLog({ level, write: (text) => lines.push(text) }));
  return lines.map((line) => line.replace(/^\d\d:\d\d:\d\d {2}/, 'at  '));
}

const request = { requestId: 'r-1', method: 'GET', route: '/health', status: 200, ms: 3, principal: null };

describe('the log at a terminal', () => {
  it('is the time, the message and its fields; a level only where it is not info', () => {
    const lines = shown((log) => {
      log.info('ready', { url: 'http://127.0.0.1:4600', engine: 'docker', reason: '' });
      log.with({ app: 'web' }).warn('a task failed', { reason: 'exited with code 1', count: 2 });
    });
    expect(lines).toEqual([
      'at  ready  url=http://127.0.0.1:4600  engine=docker\n',
      'at  WARN  a task failed  app=web  reason="exited with code 1"  count=2\n',
    ]);
  });

  it('leaves out requests that only read and went well, but at debug', () => {
    const write = (log: ReturnType<typeof terminalLog>) => log.info('request', request);
    expect(shown(write)).toEqual([]);
    expect(shown(write, 'debug')).toEqual(['at  GET /health 200 in 3 ms\n']);
  });

  it('shows requests that change something or fail, and the id of those that are our fault', () => {
    const lines = shown((log) => {
      log.info('request', { ...request, method: 'PUT', route: '/api/v1/apps/:app', principal: 'admin' });
      log.info('request', { ...request, status: 404 });
      log.info('request', { ...request, status: 500 });
    });
    expect(lines).toEqual([
      'at  PUT /api/v1/apps/:app 200 in 3 ms, by admin\n',
      'at  GET /health 404 in 3 ms\n',
      'at  GET /health 500 in 3 ms, request r-1\n',
    ]);
  });

  it('holds no secret field and nothing a terminal obeys', () => {
    const [line] = shown((log) =>
      log.info('a\u001b[2Jb', { token: 'abc', inner: { password: 'abc' }, name: 'x\u009by\n' }),
    );
    expect(line).not.toContain('abc');
    // oxlint-disable-next-line no-control-regex -- they must not be there
    expect(line?.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  });
});
