import type { LogView } from '../../functions/api/shapes.ts';
import { longestWaitSeconds, type Client, type Query } from '../client.ts';

export type LogLine = LogView['lines'][number];

export type LogQuery = {
  /** Made by `path` of the client. */
  readonly path: string;
  readonly query?: Query;
  readonly onLine: (line: LogLine) => void;
  /** Given: goes on until the log is done or this is aborted. */
  readonly follow?: AbortSignal | undefined;
};

/** Reads a log from its beginning; rejects when `follow` is aborted. */
export async function readLog(client: Client, { path, query, onLine, follow }: LogQuery): Promise<void> {
  let after: string | undefined;
  let fullest = 0;
  for (;;) {
    const wait = follow ? longestWaitSeconds : 0;
    const patience = follow ? { signal: follow, patienceSeconds: 120 } : {};
    const page = await client.get<LogView>(path, { query: { ...query, after, wait }, ...patience });
    page.lines.forEach(onLine);
    fullest = Math.max(fullest, page.lines.length);
    // Without following, a page that is not full is the last: an app that writes all the time has no empty one.
    const isLast = page.lines.length === 0 || page.lines.length < fullest;
    if (page.done || (!follow && isLast)) return;
    after = page.next;
  }
}
