import type { EventEmitter } from 'node:events';

/** A second signal that comes this soon is the first one again: npm passes on what the terminal has sent to both. */
const sameSignalMs = 1000;

/**
 * Resolves with the first SIGTERM or SIGINT. Signals after it change nothing, so that draining goes on; but Ctrl-C
 * pressed once more calls `atOnce`: a person does not want to wait.
 */
export function stopRequest(source: EventEmitter, atOnce: () => void): Promise<void> {
  return new Promise((resolve) => {
    let firstAt: number | undefined;
    const asked = () => {
      firstAt ??= performance.now();
      resolve();
    };
    source.on('SIGTERM', asked);
    source.on('SIGINT', () => {
      if (firstAt !== undefined && performance.now() - firstAt >= sameSignalMs) return atOnce();
      asked();
    });
  });
}
