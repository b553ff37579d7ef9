import { writeSync } from 'node:fs';

/**
 * Writes lines on a file descriptor, each whole before the next thing happens: what was told last before a crash is the
 * most interesting. A reader that has gone away (`… | head`) is nobody's fault, and from then on nothing is written.
 */
export function writeLines(fd: number): (line: string) => void {
  let isGone = false;
  return (line) => {
    for (let rest = Buffer.from(line); rest.length > 0 && !isGone;) {
      try {
        rest = rest.subarray(writeSync(fd, rest));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EPIPE') isGone = true;
        else if (code !== 'EAGAIN') throw error;
        // The pipe is full: its reader gets a moment.
        else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      }
    }
  };
}
