import { setTimeout as pause } from 'node:timers/promises';
import { listen, listenFailure, type Listener } from './listener.ts';
import type { Proxy } from './proxy.ts';

/** The ports on which a target is reached. */
export type Doors = {
  isOpen(port: number): boolean;
  /** Resolves with undefined when the port is listened on, else with why it cannot be. */
  open(port: number): Promise<string | undefined>;
  /** Goes on trying, with pauses from half a second to ten, as long as the port is wanted. */
  keepOpening(port: number): void;
  /** Closes all other ports. */
  keepOnly(ports: ReadonlySet<number>): void;
  /** Stops accepting on every port; resolves when their connections have ended. */
  close(): Promise<void>;
  /** Breaks off the connections that are left after `close`. */
  cut(): void;
};
export type DoorOptions = {
  readonly host: string;
  readonly proxy: Proxy;
  readonly onFailure: (reason: string) => void;
};

export function doors({ host, proxy, onFailure }: DoorOptions): Doors {
  const listeners = new Map<number, Listener>();
  const leaving = new Set<Listener>();
  const wanted = new Set<number>();
  const trying = new Map<number, Promise<string | undefined>>();

  const tryOpen = async (port: number) => {
    try {
      const listener = await listen({ port, host }, proxy);
      listeners.set(port, listener);
      if (!wanted.has(port)) void closeOne(port);
      return undefined;
    } catch (error) {
      return listenFailure(port, error);
    } finally {
      trying.delete(port);
    }
  };
  const open = (port: number) => {
    wanted.add(port);
    if (listeners.has(port)) return Promise.resolve(undefined);
    const running = trying.get(port) ?? tryOpen(port);
    trying.set(port, running);
    return running;
  };
  const closeOne = async (port: number) => {
    const listener = listeners.get(port);
    if (!listener) return;
    listeners.delete(port);
    leaving.add(listener);
    await listener.close();
    leaving.delete(listener);
  };
  const insisting = new Set<number>();
  const insist = async (port: number) => {
    insisting.add(port);
    for (let pauseMs = 500; wanted.has(port); pauseMs = Math.min(pauseMs * 2, 10_000)) {
      const failure = await open(port);
      if (failure === undefined) break;
      onFailure(failure);
      await pause(pauseMs, undefined, { ref: false });
    }
    insisting.delete(port);
  };
  return {
    isOpen: (port) => listeners.has(port),
    open,
    keepOpening: (port) => {
      wanted.add(port);
      if (!listeners.has(port) && !insisting.has(port)) void insist(port);
    },
    keepOnly: (ports) => {
      for (const port of wanted) if (!ports.has(port)) wanted.delete(port);
      for (const port of listeners.keys()) if (!ports.has(port)) void closeOne(port);
    },
    close: async () => {
      wanted.clear();
      await Promise.all([...listeners.keys()].map(closeOne));
    },
    cut: () => {
      for (const listener of leaving) listener.cut();
    },
  };
}
