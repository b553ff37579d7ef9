import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { checkHealth, watchHealth } from '../../../local/fleet/health.ts';
import { freePort, quickHealth } from '../../support/fleet.ts';

describe('health', () => {
  const servers: Server[] = [];
  const stops: (() => void)[] = [];
  afterEach(() => {
    for (const stop of stops.splice(0)) stop();
    for (const server of servers.splice(0)) {
      server.close();
      server.closeAllConnections();
    }
  });
  /** Answers one status after the other, and the last one for good; 0 is no answer. */
  const app = async (statuses: readonly number[], port = 0) => {
    let checks = 0;
    const server = createServer((_req, res) => {
      const status = statuses[Math.min(checks++, statuses.length - 1)] ?? 0;
      if (status > 0) res.writeHead(status).end();
    }).listen(port, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    return { port: (server.address() as AddressInfo).port, checks: () => checks };
  };
  const watch = (port: number, health: Partial<typeof quickHealth>) =>
    new Promise<string>((resolve) => {
      const settings = { ...quickHealth, intervalSeconds: 0.05, ...health };
      stops.push(watchHealth({ port, health: settings, onHealthy: () => resolve('healthy'), onUnhealthy: resolve }));
    });

  it('is quick at the start, however long the interval', async () => {
    const port = await freePort();
    const from = performance.now();
    const result = watch(port, { intervalSeconds: 60, healthyThreshold: 3 });
    await app([503, 200], port);
    expect(await result).toBe('healthy');
    expect(performance.now() - from).toBeLessThan(10_000);
  });

  it('takes as many successes in a row as the threshold says', async () => {
    const { port, checks } = await app([200, 200, 500, 200, 200, 200]);
    expect(await watch(port, { healthyThreshold: 3 })).toBe('healthy');
    expect(checks()).toBe(6);
  });

  it('does not count failures within the grace', async () => {
    const { port } = await app([500, 500, 500, 500, 200]);
    expect(await watch(port, { unhealthyThreshold: 1 })).toBe('healthy');
  });

  it('says why a task did not become healthy', async () => {
    const { port } = await app([500]);
    expect(await watch(port, { graceSeconds: 0.2 })).toBe(
      'did not become healthy within 0.2 s (GET /health: it answered 500)',
    );
  });

  it('takes only 2xx for healthy, and waits no longer than it was told', async () => {
    for (const [status, failure] of [
      [200, undefined],
      [204, undefined],
      [302, 'it answered 302'],
      [404, 'it answered 404'],
      [0, 'no answer within 0.1 s'],
    ] as const) {
      const { port } = await app([status]);
      expect((await checkHealth(port, { path: '/health', timeoutSeconds: 0.1 }))?.what).toBe(failure);
    }
    const nobody = await checkHealth(await freePort(), { path: '/', timeoutSeconds: 1 });
    expect(nobody).toEqual({ what: 'nothing listens on its port', answered: false });
  });
});
