import { connect, type Socket } from 'node:net';
import { once } from 'node:events';

/** A connection on which a test writes bytes by hand. */
export type RawConnection = {
  readonly socket: Socket;
  write(text: string | Uint8Array): void;
  /** Resolves with everything that has come in once it fits; rejects when the connection ends before. */
  until(pattern: RegExp): Promise<string>;
  /** Everything that came in until the server ended the connection. */
  rest(): Promise<string>;
};

export async function rawConnection(port: number): Promise<RawConnection> {
  const socket = connect({ port, host: '127.0.0.1' });
  await once(socket, 'connect');
  let text = '';
  const watchers = new Set<() => void>();
  const notify = () => {
    for (const watch of watchers) watch();
  };
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
    notify();
  });
  socket.on('error', () => {}); // a cut connection is what many tests wait for
  socket.on('close', notify);
  const when = (isDone: () => boolean) =>
    new Promise<string>((resolve, reject) => {
      const watch = () => {
        if (!isDone() && !socket.closed) return;
        watchers.delete(watch);
        if (isDone()) resolve(text);
        else reject(new Error(`The connection ended with: ${text}`));
      };
      watchers.add(watch);
      watch();
    });
  return {
    socket,
    write: (bytes) => socket.write(bytes),
    until: (pattern) => when(() => pattern.test(text)),
    rest: () => when(() => socket.closed),
  };
}
