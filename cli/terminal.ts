import type { Input, Output } from './world.ts';

/** Standard output or error. A reader that has gone away (`| head`) ends the process quietly. */
export function outputOf(stream: NodeJS.WriteStream): Output {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
  return {
    isTerminal: stream.isTTY ?? false,
    columns: () => stream.columns || 80,
    rows: () => stream.rows || 24,
    write: (text) => void stream.write(text),
    onResize: (listener) => {
      stream.on('resize', listener);
      return () => stream.off('resize', listener);
    },
  };
}

/** Standard input; questions go to `prompts`, so that they show when the output is piped away. */
export function inputOf(stream: NodeJS.ReadStream, prompts: NodeJS.WriteStream): Input {
  return {
    isTerminal: stream.isTTY ?? false,
    readAll: async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(Buffer.from(chunk as Uint8Array));
      return Buffer.concat(chunks).toString('utf8');
    },
    askHidden: async (question) => {
      const { askHidden } = await import('./ask-hidden.ts');
      return await askHidden(question, { stream, prompts });
    },
  };
}

/**
 * Ctrl-C calls the listener instead of ending the process; the second one, when the first was not enough, ends it.
 * A launcher may pass on the signal that the terminal has sent to both of us, so one right behind counts as the same.
 */
export function onInterrupt(listener: () => void): () => void {
  let firstAt: number | undefined;
  const heard = () => {
    const now = performance.now();
    if (firstAt !== undefined && now - firstAt > sameSignalMs) process.exit(130);
    if (firstAt === undefined) listener();
    firstAt ??= now;
  };
  process.on('SIGINT', heard);
  return () => {
    // What is left to do is to print a line and end: the repeated signal must not come in between.
    if (firstAt === undefined) process.off('SIGINT', heard);
  };
}

const sameSignalMs = 500;
