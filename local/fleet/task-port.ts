import { createServer } from 'node:net';
import { randomInt } from 'node:crypto';

/** Below the range from which systems take the ports of outgoing connections, which would else be taken in between. */
const range = { from: 20_000, to: 32_000 };

export type TaskPorts = {
  /** A free loopback port, not given out again before it is released. */
  take(): Promise<number>;
  release(port: number): void;
};

export function taskPorts(): TaskPorts {
  const taken = new Set<number>();
  return {
    take: async () => {
      for (let attempt = 0; attempt < 500; attempt++) {
        const port = randomInt(range.from, range.to);
        if (taken.has(port)) continue;
        taken.add(port);
        if (await isFree(port)) return port;
        taken.delete(port);
      }
      throw new Error(`no port from ${range.from} to ${range.to} is free for a task`);
    },
    release: (port) => void taken.delete(port),
  };
}

/** Whether a task could listen on the port, whichever address it chooses. */
export async function isFree(port: number): Promise<boolean> {
  for (const host of ['127.0.0.1', '0.0.0.0']) if (!(await canListen(port, host))) return false;
  return true;
}

function canListen(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
