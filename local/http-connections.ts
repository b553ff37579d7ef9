import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** A server's connections, and the requests on them that are not answered yet. */
export type Connections = {
  /** How many requests on it are not answered yet. */
  inFlightOn(socket: Socket): number;
  /** From now on a connection ends with its last answer; those without a request end at once. */
  closeIdle(): void;
  /** Ends all of them, whatever they do. */
  cut(): void;
};

/**
 * Keeps count of a server's connections. `server.closeIdleConnections()` takes one that has not sent a byte, or half a
 * header, for busy, and so a silent client could hold up a shutdown.
 */
export function connectionsOf(server: Server): Connections {
  const inFlight = new Map<Socket, Set<ServerResponse>>();
  let isClosing = false;
  server.on('connection', (socket: Socket) => {
    inFlight.set(socket, new Set());
    socket.once('close', () => inFlight.delete(socket));
  });
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    inFlight.get(socket)?.add(response);
    if (isClosing) endAfter(response);
    response.once('close', () => {
      inFlight.get(socket)?.delete(response);
      if (isClosing && inFlight.get(socket)?.size === 0) socket.destroySoon();
    });
  });
  return {
    inFlightOn: (socket) => inFlight.get(socket)?.size ?? 0,
    closeIdle: () => {
      isClosing = true;
      for (const [socket, responses] of inFlight) {
        if (responses.size === 0) socket.destroy();
        for (const response of responses) endAfter(response);
      }
    },
    cut: () => {
      for (const socket of inFlight.keys()) socket.destroy();
    },
  };
}

/** Tells the client that this is the last answer here, as long as it can still be told. */
function endAfter(response: ServerResponse): void {
  response.shouldKeepAlive = false;
}
