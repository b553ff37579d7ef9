import type { Command } from 'commander';
import type { EnvironmentView, ReadyView } from '../../functions/api/shapes.ts';
import { readEnvironments } from '../environments.ts';
import { exitCodes, type ExitCode } from '../exit.ts';
import { NotReachable } from '../failures.ts';
import type { Session } from '../session.ts';
import { ago } from '../times.ts';
import { addVerb, type Cli } from '../verb.ts';

export function registerHealth(program: Command, cli: Cli): void {
  addVerb(program, cli, {
    usage: 'health [app] [environment]',
    summary: 'Check the control plane, or the targets of an app',
    details:
      'Without an app: everything the control plane depends on, by name; exits with 3 when something of it is not ready. ' +
      'With an app: whether each target serves with as many tasks as it should; exits with 1 when one does not.',
    examples: [
      ['sluice health', 'the control plane'],
      ['sluice health web dev', 'the targets of one environment'],
    ],
    run: async (session, [app, environment]) =>
      app === undefined ? await checkControlPlane(session) : await checkTargets(session, app, environment),
  });
}

async function checkControlPlane(session: Session): Promise<ExitCode> {
  const client = await session.client();
  // Not to be ready is an answer here, so it is neither repeated nor an error.
  const { body } = await client.request<ReadyView | undefined>({ method: 'GET', path: '/ready', accept: [503] });
  if (typeof body?.checks !== 'object') throw new NotReachable('The control plane did not say what it depends on.');
  if (session.json) session.document(body);
  else {
    session.table(Object.entries(body.checks), [
      { title: 'DEPENDENCY', cell: ([name]) => name },
      { title: 'STATE', cell: ([, state]) => state },
    ]);
    session.line(body.status === 'ok' ? 'The control plane is ready.' : 'The control plane is not ready.');
  }
  return body.status === 'ok' ? exitCodes.done : exitCodes.notReachable;
}

type Row = { readonly environment: string; readonly target: EnvironmentView['targets'][number] };

async function checkTargets(session: Session, app: string, environment: string | undefined): Promise<ExitCode> {
  const views = await readEnvironments(await session.client(), app, environment);
  const rows = views.flatMap((view) => view.targets.map((target): Row => ({ environment: view.environment, target })));
  const short = rows.filter((row) => isShort(row));
  if (session.json) session.document({ status: short.length === 0 ? 'ok' : 'failing', items: rows.map(summary) });
  else {
    session.table(rows, [
      { title: 'ENVIRONMENT', cell: (row) => row.environment },
      { title: 'TARGET', cell: (row) => row.target.name },
      { title: 'SERVING', cell: (row) => `${serving(row)}/${wanted(row)}` },
      { title: 'STATE', cell: (row) => stateText(row) },
      { title: 'LAST FAILURE', cell: (row) => lastFailure(row, session.world.clock()), shrinks: true },
    ]);
  }
  return short.length === 0 ? exitCodes.done : exitCodes.failed;
}

/** A target that has never run anything wants nothing yet. */
const wanted = ({ target }: Row) => (target.revision === null ? 0 : target.desiredCount);
const serving = ({ target }: Row) => target.tasks.filter(({ state }) => state === 'serving').length;
const isShort = (row: Row) => serving(row) < wanted(row);

function stateText(row: Row): string {
  if (row.target.revision === null) return 'not deployed yet';
  return isShort(row) ? 'too few' : 'ok';
}

function lastFailure({ target }: Row, now: number): string {
  return target.lastFailure ? `${ago(target.lastFailure.at, now)}: ${target.lastFailure.reason}` : '';
}

function summary(row: Row): object {
  return {
    environment: row.environment,
    target: row.target.name,
    status: isShort(row) ? 'failing' : 'ok',
    serving: serving(row),
    wanted: wanted(row),
    lastFailure: row.target.lastFailure,
  };
}
