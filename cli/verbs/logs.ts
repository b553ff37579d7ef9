import type { Command } from 'commander';
import type { DeploymentRow, DeploymentView, LogView } from '../../functions/api/shapes.ts';
import { longestWaitSeconds, path, type Client } from '../client.ts';
import { exitCodes, type ExitCode } from '../exit.ts';
import { Interrupted, WrongUse } from '../failures.ts';
import { followDeployment } from '../follow/follow.ts';
import { buildLineText, endLines, eventLine, headLine } from '../follow/sentences.ts';
import type { Session } from '../session.ts';
import { printable } from '../terminal-text.ts';
import { timeOfDay } from '../times.ts';
import { addVerb, type Cli } from '../verb.ts';

type Options = { target?: string; follow?: boolean; build?: string; deployment?: string };

export function registerLogs(program: Command, cli: Cli): void {
  addVerb<Options>(program, cli, {
    usage: 'logs [app] [environment]',
    summary: 'Show what a build printed and what a deployment did',
    details:
      'Of an app or environment it is the newest deployment: the output of its build, then its timeline. Exits with 0 ' +
      'however that deployment ended; with --follow as "sluice follow" does. What tasks print themselves stays with ' +
      'their engine (docker logs, CloudWatch).',
    examples: [
      ['sluice logs web dev', 'the newest deployment there'],
      ['sluice logs web dev --target worker', 'its timeline, only of that target'],
      ['sluice logs --deployment 0197f6a2-…', 'that deployment'],
      ['sluice logs --build 0197f6a3-… --follow', 'the output of a build while it runs'],
    ],
    options: (command) =>
      command
        .option('--target <target>', 'only the timeline of this target')
        .option('--follow', 'go on until it has ended')
        .option('--build <id>', 'the output of this build')
        .option('--deployment <id>', 'the output and timeline of this deployment'),
    run: async (session, [app, environment], options) => {
      const given = [app, options.build, options.deployment].filter((value) => value !== undefined);
      if (given.length !== 1) throw new WrongUse('Give one of: an app (and environment), --build, --deployment.');
      const client = await session.client();
      if (options.build !== undefined)
        return await showBuild(session, client, { id: options.build, follow: options.follow });
      const id = options.deployment ?? (await newest(client, { app, environment }));
      if (options.follow && options.target === undefined) return await followDeployment(session, id);
      if (options.follow) throw new WrongUse('--follow shows every target; leave --target out.');
      return await showDeployment(session, client, { id, target: options.target });
    },
  });
}

async function newest(
  client: Client,
  query: { app: string | undefined; environment: string | undefined },
): Promise<string> {
  const page = await client.get<{ items: DeploymentRow[] }>('/api/v1/deployments', { query: { ...query, limit: 1 } });
  const row = page.items[0];
  if (row) return row.id;
  const where = query.environment === undefined ? `${query.app}` : `${query.environment} of ${query.app}`;
  throw new WrongUse(`There is no deployment of ${where}.`);
}

type Shown = { readonly id: string; readonly target: string | undefined };

async function showDeployment(session: Session, client: Client, { id, target }: Shown): Promise<ExitCode> {
  const view = await client.get<DeploymentView>(path`/api/v1/deployments/${id}`);
  if (target !== undefined && !view.targets.some(({ name }) => name === target)) {
    throw new WrongUse(`The deployment has no target ${target}.`);
  }
  const lines = target === undefined && view.build ? await buildLines(client, view.build.id) : [];
  const events = view.timeline.filter((event) => target === undefined || event.target === target);
  if (session.json) session.document({ deployment: id, status: view.status, lines, events });
  else {
    session.line(headLine(view));
    for (const line of lines) session.line(buildLineText(line, session.style));
    for (const event of events) session.line(eventLine(event, session.style));
    if (view.endedAt !== null) session.line(endLines(view, session.style)[0]);
  }
  return exitCodes.done;
}

async function buildLines(client: Client, id: string): Promise<LogView['lines']> {
  const lines: LogView['lines'] = [];
  await readLog(client, { id, onLine: (line) => lines.push(line) });
  return lines;
}

type Reading = {
  readonly id: string;
  readonly onLine: (line: LogView['lines'][number]) => void;
  readonly follow?: AbortSignal;
};

/** All lines there are; with `follow` on until the build has ended. */
async function readLog(client: Client, { id, onLine, follow }: Reading): Promise<void> {
  let after: string | undefined;
  for (;;) {
    const wait = follow ? longestWaitSeconds : 0;
    const options = follow ? { signal: follow, patienceSeconds: 120 } : {};
    const page = await client.get<LogView>(path`/api/v1/build/${id}/logs`, { query: { after, wait }, ...options });
    page.lines.forEach(onLine);
    if (page.done || (!follow && page.lines.length === 0)) return;
    after = page.next;
  }
}

async function showBuild(
  session: Session,
  client: Client,
  { id, follow }: { id: string; follow: boolean | undefined },
): Promise<ExitCode> {
  const stop = new AbortController();
  const letGo = follow ? session.world.onInterrupt(() => stop.abort()) : () => {};
  const collected: LogView['lines'] = [];
  const onLine = (line: LogView['lines'][number]) => {
    if (session.json && !follow) collected.push(line);
    else if (session.json) session.document({ type: 'log', build: id, ...line });
    else
      session.line(
        `${session.style.paint('dim', `${timeOfDay(line.at)}  ${printable(line.phase)}`)}  ${printable(line.text)}`,
      );
  };
  try {
    await readLog(client, { id, onLine, ...(follow ? { follow: stop.signal } : {}) });
  } catch (error) {
    if (stop.signal.aborted) throw new Interrupted('Stopped following; the build goes on.');
    throw error;
  } finally {
    letGo();
  }
  if (session.json && !follow) session.document({ build: id, lines: collected });
  return exitCodes.done;
}
