import { setTimeout as wait } from 'node:timers/promises';
import { Hono } from 'hono';
import { parts } from '../../functions/api/multipart.ts';
import { silentLog } from '../../functions/runtime/log.ts';
import { startHttpServer } from '../../local/http-server.ts';

/**
 * A server that reads the parts of what is posted to it, more slowly than they come, and says how much of each there was
 * and the most memory that it has held. Its port is the first line of its standard output.
 */
const slowEveryBytes = 4 * 1024 * 1024;
const app = new Hono().post('/', async (c) => {
  const sizes: number[] = [];
  let unhurried = 0;
  for await (const { body } of parts(c.req.raw.body, c.req.header('content-type') ?? '', { maxParts: 100 })) {
    let size = 0;
    for await (const chunk of body) {
      size += chunk.length;
      unhurried += chunk.length;
      if (unhurried < slowEveryBytes) continue;
      unhurried = 0;
      await wait(10);
    }
    sizes.push(size);
  }
  return c.json({ sizes, maxRssBytes: process.resourceUsage().maxRSS * 1024 });
});
const server = await startHttpServer({ host: '127.0.0.1', port: 0, fetch: app.fetch, log: silentLog });
process.stdout.write(`${server.port}\n`);
