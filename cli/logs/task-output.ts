import type { AppView } from '../../functions/api/shapes.ts';
import { path, type Client } from '../client.ts';
import { WrongUse } from '../failures.ts';
import type { Session } from '../session.ts';
import { printable } from '../terminal-text.ts';
import { timeOfDay } from '../times.ts';
import { readLog } from './pages.ts';
import { untilInterrupted } from './until-interrupted.ts';

export type TaskLogs = {
  readonly app: string;
  /** May be left out where the app has only one. */
  readonly environment: string | undefined;
  /** Left out: all of them. */
  readonly target: string | undefined;
  readonly follow: boolean;
};

/** A line that a task has written. */
type TaskLine = { readonly target: string; readonly task: string; readonly at: string; readonly text: string };

/** Prints what the tasks of an environment have written, in the order of time; with `follow` on until Ctrl-C. */
export async function showTasks(session: Session, wanted: TaskLogs): Promise<void> {
  const client = await session.client();
  const place = await placeOf(client, wanted);
  if (wanted.follow) {
    const onLine = (line: TaskLine) => {
      if (session.json) session.document({ type: 'log', ...line });
      else printLine(session, line);
    };
    return await untilInterrupted(session.world, 'Stopped following.', async (signal) => {
      await readAll(client, place, { onLine, follow: signal });
    });
  }
  const lines: TaskLine[] = [];
  await readAll(client, place, { onLine: (line) => lines.push(line) });
  lines.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  if (session.json) session.document({ app: place.app, environment: place.environment, lines });
  else for (const line of lines) printLine(session, line);
}

type Place = { readonly app: string; readonly environment: string; readonly targets: readonly string[] };

async function placeOf(client: Client, { app, environment, target }: TaskLogs): Promise<Place> {
  if (environment !== undefined && target !== undefined) return { app, environment, targets: [target] };
  const { environments } = await client.get<AppView>(path`/api/v1/apps/${app}`);
  const names = environments.map(({ name }) => name).join(', ');
  const found = environment === undefined ? environments : environments.filter(({ name }) => name === environment);
  const [only] = found;
  if (only === undefined) throw new WrongUse(`App ${app} has no environment ${environment}. It has: ${names}.`);
  if (found.length > 1) throw new WrongUse(`App ${app} has several environments. Name one of: ${names}.`);
  const targets = target === undefined ? only.targets.map(({ name }) => name) : [target];
  return { app, environment: only.name, targets };
}

type Reading = { readonly onLine: (line: TaskLine) => void; readonly follow?: AbortSignal };

async function readAll(
  client: Client,
  { app, environment, targets }: Place,
  { onLine, follow }: Reading,
): Promise<void> {
  await Promise.all(
    targets.map(async (target) => {
      await readLog(client, {
        path: path`/api/v1/apps/${app}/environments/${environment}/logs`,
        query: { target },
        // Of a task's output the phase is the task.
        onLine: ({ phase, ...line }) => onLine({ target, task: phase, ...line }),
        follow,
      });
    }),
  );
}

function printLine({ line, style }: Session, { at, target, task, text }: TaskLine): void {
  line(`${style.paint('dim', `${timeOfDay(at)}  ${printable(`${target} ${shortTask(task)}`)}`)}  ${printable(text)}`);
}

/** The end of a long id tells tasks apart; the beginning is mostly the time. */
function shortTask(id: string): string {
  return id.length > 12 ? `…${id.slice(-8)}` : id;
}
