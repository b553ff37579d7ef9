import type { Command } from 'commander';
import type { EnvironmentView } from '../../functions/api/shapes.ts';
import { argument } from '../arguments.ts';
import { readEnvironments } from '../environments.ts';
import { exitCodes } from '../exit.ts';
import type { Session } from '../session.ts';
import { printable } from '../terminal-text.ts';
import { ago } from '../times.ts';
import { addVerb, type Cli } from '../verb.ts';
import { requestText, shortCommit, shortDigest } from '../words.ts';

export function registerStatus(program: Command, cli: Cli): void {
  addVerb<{ tasks?: boolean }>(program, cli, {
    usage: 'status <app> [environment]',
    summary: 'Show what runs in an environment, and what waits for it',
    examples: [
      ['sluice status web', 'every environment of the app'],
      ['sluice status web dev --tasks', 'one, with each of its tasks'],
      ['sluice status web dev --json', 'all that is known, as JSON'],
    ],
    options: (command) => command.option('--tasks', 'list the tasks of each target'),
    run: async (session, args, { tasks }) => {
      const client = await session.client();
      const views = await readEnvironments(client, argument(args, 0), args[1]);
      if (session.json) session.document(args[1] === undefined ? { items: views } : views[0]);
      else
        for (const [index, view] of views.entries())
          print(session, view, { first: index === 0, tasks: tasks ?? false });
      return exitCodes.done;
    },
  });
}

type Target = EnvironmentView['targets'][number];

function print(session: Session, view: EnvironmentView, { first, tasks }: { first: boolean; tasks: boolean }): void {
  const now = session.world.clock();
  if (!first) session.line();
  session.line(session.style.paint('bold', printable(`${view.app} ${view.environment}`)));
  session.line(printable(`  current  ${currentText(view, now)}`));
  if (view.lane.active !== null) session.line(printable(`  active   ${view.lane.active}`));
  for (const id of view.lane.queued) session.line(printable(`  queued   ${id}`));
  session.line();
  session.table(view.targets, targetColumns);
  for (const { name, lastFailure } of view.targets) {
    if (lastFailure)
      session.line(printable(`${name}: last failure ${ago(lastFailure.at, now)}: ${lastFailure.reason}`));
  }
  if (!tasks) return;
  session.line();
  session.table(rowsOfTasks(view), [
    { title: 'TASK', cell: ({ task }) => task.id },
    { title: 'TARGET', cell: ({ target }) => target },
    { title: 'STATE', cell: ({ task }) => task.state },
    { title: 'STARTED', cell: ({ task }) => ago(task.startedAt, now) },
    { title: 'IN FLIGHT', cell: ({ task }) => (task.inFlight === null ? '-' : String(task.inFlight)) },
    { title: 'REVISION', cell: ({ task }) => task.revisionId, shrinks: true },
  ]);
}

const targetColumns = [
  { title: 'TARGET', cell: ({ name }: Target) => name },
  { title: 'TASKS', cell: ({ runningCount, desiredCount }: Target) => `${runningCount}/${desiredCount}` },
  { title: 'STATES', cell: ({ tasks }: Target) => statesText(tasks) },
  { title: 'PORT', cell: ({ listenPort }: Target) => (listenPort === null ? '' : String(listenPort)) },
  { title: 'COMMIT', cell: ({ revision }: Target) => shortCommit(revision?.commit ?? null) },
  { title: 'ARTIFACT', cell: ({ revision }: Target) => (revision ? shortDigest(revision.artifact) : 'nothing yet') },
];

function currentText({ current }: EnvironmentView, now: number): string {
  if (current === null) return 'nothing has been deployed here yet';
  return `${current.id}, ${requestText(current.request)}, ${ago(current.endedAt ?? current.createdAt, now)}`;
}

/** `2 serving, 1 draining` */
function statesText(tasks: Target['tasks']): string {
  const counts = Map.groupBy(tasks, ({ state }) => state);
  return [...counts].map(([state, found]) => `${found.length} ${state}`).join(', ');
}

function rowsOfTasks({ targets }: EnvironmentView): readonly { target: string; task: Target['tasks'][number] }[] {
  return targets.flatMap(({ name, tasks }) => tasks.map((task) => ({ target: name, task })));
}
