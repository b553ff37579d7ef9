import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';

/** Asks on a terminal without showing what is typed or pasted; undefined after Ctrl-C or Ctrl-D. */
export async function askHidden(
  question: string,
  { stream, prompts }: { stream: NodeJS.ReadStream; prompts: NodeJS.WriteStream },
): Promise<string | undefined> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stream, output: nowhere, terminal: true, historySize: 0 });
  prompts.write(question);
  try {
    return await new Promise<string | undefined>((resolve) => {
      lines.once('line', resolve);
      lines.once('close', () => resolve(undefined));
      lines.once('SIGINT', () => resolve(undefined));
    });
  } finally {
    lines.close();
    prompts.write('\n');
  }
}
