import { path, type Client } from '../client.ts';
import type { Session } from '../session.ts';
import { printable } from '../terminal-text.ts';
import { timeOfDay } from '../times.ts';
import { readLog, type LogLine } from './pages.ts';
import { untilInterrupted } from './until-interrupted.ts';

/** Prints what a build has printed; with `follow` on until it has ended. */
export async function showBuild(session: Session, id: string, { follow }: { follow: boolean }): Promise<void> {
  const client = await session.client();
  if (follow) {
    const onLine = (line: LogLine) => {
      if (session.json) session.document({ type: 'log', build: id, ...line });
      else printLine(session, line);
    };
    return await untilInterrupted(session.world, 'Stopped following; the build goes on.', async (signal) => {
      await readLog(client, { path: path`/api/v1/build/${id}/logs`, onLine, follow: signal });
    });
  }
  const lines = await buildLines(client, id);
  if (session.json) session.document({ build: id, lines });
  else for (const line of lines) printLine(session, line);
}

/** What a build has printed so far. */
export async function buildLines(client: Client, id: string): Promise<readonly LogLine[]> {
  const lines: LogLine[] = [];
  await readLog(client, { path: path`/api/v1/build/${id}/logs`, onLine: (line) => lines.push(line) });
  return lines;
}

function printLine({ line, style }: Session, { at, phase, text }: LogLine): void {
  line(`${style.paint('dim', `${timeOfDay(at)}  ${printable(phase)}`)}  ${printable(text)}`);
}
