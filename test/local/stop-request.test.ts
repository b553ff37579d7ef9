import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { stopRequest } from '../../local/stop-request.ts';

afterEach(() => void vi.useRealTimers());

describe('a request to stop', () => {
  it('is the first signal; the same one passed on by npm is not another', async () => {
    const [source, atOnce] = [new EventEmitter(), vi.fn<() => void>()];
    const stop = stopRequest(source, atOnce);
    source.emit('SIGINT');
    source.emit('SIGINT');
    await stop;
    expect(atOnce).not.toHaveBeenCalled();
  });

  it('is urgent when Ctrl-C is pressed again, and not when SIGTERM comes again', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const [source, atOnce] = [new EventEmitter(), vi.fn<() => void>()];
    void stopRequest(source, atOnce);
    source.emit('SIGTERM');
    vi.advanceTimersByTime(5000);
    source.emit('SIGTERM');
    expect(atOnce).not.toHaveBeenCalled();
    source.emit('SIGINT');
    expect(atOnce).toHaveBeenCalledOnce();
  });
});

describe('npm start', () => {
  it('ends with 0 at SIGTERM, and leaves no server behind', async () => {
    const data = await mkdtemp(join(tmpdir(), 'sluice-start-'));
    const { PATH = '', HOME = '' } = process.env;
    const npm = spawn('npm', ['start'], {
      cwd: join(import.meta.dirname, '../..'),
      env: { PATH, HOME, PORT: '0', SLUICE_DATA: data, SLUICE_ENGINE: 'process' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exit = once(npm, 'exit');
    try {
      let output = '';
      for await (const chunk of npm.stdout) {
        output += String(chunk);
        if (output.includes('Sluice is ready on ')) break;
      }
      const url = /Sluice is ready on (\S+)/.exec(output)?.[1] ?? '';
      expect((await fetch(`${url}/health`)).status).toBe(200);
      npm.kill('SIGTERM');
      expect(await exit).toEqual([0, null]);
      await expect(fetch(`${url}/health`)).rejects.toThrow('fetch failed');
    } finally {
      npm.kill('SIGTERM');
      await rm(data, { recursive: true, force: true });
    }
  });
});
