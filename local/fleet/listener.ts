import { createServer, type Server } from 'node:http';
import type { Proxy } from './proxy.ts';
import { isWebSocket } from './upgrade.ts';

export type Listener = {
  readonly port: number;
  /** Stops accepting, and resolves when the last connection has ended; idle ones are closed at once. */
  close(): Promise<void>;
  /** Breaks off what is left. */
  cut(): void;
};

const limits = {
  maxHeaderSize: 32 * 1024,
  /** The whole header must be here by then (slow-loris); a body may take its time. */
  headersTimeout: 15_000,
  requestTimeout: 0,
  connectionsCheckingInterval: 5_000,
  /** Above the 60 s of the usual front ends, so that it is they who close idle connections. */
  keepAliveTimeout: 65_000,
};

/** Listens on a port and gives what comes to a proxy. Throws what the system says when the port cannot be had. */
export function listen(address: { port: number; host: string }, proxy: Proxy): Promise<Listener> {
  const server = createServer({ ...limits, shouldUpgradeCallback: isWebSocket }, (req, res) => {
    // While it shuts down every answer ends its connection.
    if (!server.listening) res.shouldKeepAlive = false;
    proxy.request(req, res);
  });
  server.on('upgrade', (req, socket, head) => proxy.upgrade(req, socket, head));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, () => {
      server.off('error', reject);
      const bound = server.address();
      resolve({
        port: typeof bound === 'object' && bound ? bound.port : address.port,
        close: () => closeGently(server),
        cut: () => server.closeAllConnections(),
      });
    });
  });
}

function closeGently(server: Server): Promise<void> {
  // A connection that was busy when the server closed is left idle by Node after its answer.
  const sweep = setInterval(() => server.closeIdleConnections(), 100);
  return new Promise((closed) => {
    server.close(() => {
      clearInterval(sweep);
      closed();
    });
    server.closeIdleConnections();
  });
}

/** What went wrong with a port, for people. */
export function listenFailure(port: number, error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'EADDRINUSE') return `port ${port} is already in use`;
  if (code === 'EACCES') return `port ${port} may not be used by this user`;
  return `port ${port} cannot be listened on (${code ?? 'unknown error'})`;
}
