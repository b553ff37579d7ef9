import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const reader = fileURLToPath(new URL('multipart-reader.ts', import.meta.url));
const mebibyte = 1024 * 1024;
const large = 1000 * mebibyte;

/** A large part, and small ones around it. */
function* body(): Generator<Buffer> {
  const header = (name: string) => `--b\r\nContent-Disposition: attachment; filename="${name}"\r\n\r\n`;
  yield Buffer.from(`${header('small')}one\r\n${header('large')}`);
  const chunk = Buffer.alloc(mebibyte, '\r\n--');
  for (let sent = 0; sent < large; sent += chunk.length) yield chunk;
  yield Buffer.from(`\r\n${header('last')}three\r\n--b--\r\n`);
}

describe('an upload of 1 GB to a slow reader', () => {
  it('comes out whole, and little of it is ever held', async () => {
    const child = spawn(process.execPath, ['--max-old-space-size=96', reader], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [line] = (await once(child.stdout, 'data')) as [Buffer];
      const headers = { 'content-type': 'multipart/mixed; boundary=b' };
      const post = request({ port: Number(line), host: '127.0.0.1', method: 'POST', headers });
      const answered = once(post, 'response') as Promise<[AsyncIterable<Buffer>]>;
      await pipeline(Readable.from(body()), post);
      const [response] = await answered;
      let text = '';
      for await (const chunk of response) text += chunk.toString();
      const { sizes, maxRssBytes } = JSON.parse(text) as { sizes: number[]; maxRssBytes: number };
      expect(sizes).toEqual([3, large, 5]);
      // The program alone takes some 100 MiB.
      expect(maxRssBytes).toBeLessThan(260 * mebibyte);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
