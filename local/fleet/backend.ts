import { createHash } from 'node:crypto';
import { Agent } from 'node:http';

/** A serving task as the proxy sees it, with an exact count of what it serves. */
export type Backend = {
  readonly id: string;
  readonly port: number;
  /** What a sticky cookie holds: names the task and tells nothing. */
  readonly token: string;
  /** Kept-alive connections to the task; see `forward.ts` for what may go over them. */
  readonly agent: Agent;
  readonly inFlight: () => number;
  /** Counts a request or upgraded connection in; the answer counts it out, once. `cut` must break it off. */
  enter(cut: () => void): () => void;
  /** Resolves when nothing is in flight, at once when nothing is. */
  idle(): Promise<void>;
  /** Breaks off whatever is in flight. */
  cut(): void;
  /** Closes the idle connections to the task. */
  close(): void;
};

export function backend(id: string, port: number): Backend {
  const cuts = new Set<() => void>();
  const waiting: (() => void)[] = [];
  const agent = new Agent({ keepAlive: true, scheduling: 'lifo', maxFreeSockets: 64 });
  return {
    id,
    port,
    token: createHash('sha256').update(id).digest('hex').slice(0, 32),
    agent,
    inFlight: () => cuts.size,
    enter: (cut) => {
      const entry = () => cut();
      cuts.add(entry);
      return () => {
        if (cuts.delete(entry) && cuts.size === 0) for (const resolve of waiting.splice(0)) resolve();
      };
    },
    idle: () => (cuts.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    cut: () => {
      for (const cut of cuts) cut();
    },
    close: () => agent.destroy(),
  };
}
