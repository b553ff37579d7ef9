import { Option, type Command } from 'commander';
import type { DeploymentRow } from '../../functions/api/shapes.ts';
import type { Status } from '../../functions/deployments/state.ts';
import { wholeNumber } from '../arguments.ts';
import { exitCodes } from '../exit.ts';
import { listUpTo } from '../pages.ts';
import { ago } from '../times.ts';
import { addVerb, type Cli } from '../verb.ts';
import { requestText, shortCommit, statusText, triggerText } from '../words.ts';

/** Written out, as only types come from functions/: the compiler holds it to the states there are. */
const statuses: Readonly<Record<Status, true>> = {
  queued: true,
  building: true,
  rolling: true,
  verifying: true,
  rolling_back: true,
  succeeded: true,
  rolled_back: true,
  failed: true,
  cancelled: true,
  superseded: true,
};

type Options = { app?: string; environment?: string; status?: Status; limit: number; cursor?: string };

export function registerList(program: Command, cli: Cli): void {
  addVerb<Options>(program, cli, {
    usage: 'list',
    summary: 'List deployments, the newest first',
    examples: [
      ['sluice list --app web --environment dev', 'those of one environment'],
      ['sluice list --status failed --limit 5 --json', 'the last five that failed, as JSON'],
    ],
    options: (command) =>
      command
        .alias('deployments')
        .option('--app <app>', 'only of this app')
        .option('--environment <environment>', 'only to this environment')
        .addOption(new Option('--status <status>', 'only those that are so').choices(Object.keys(statuses)))
        .addOption(new Option('--limit <count>', 'at most so many').argParser(wholeNumber(1, 10_000)).default(20))
        .option('--cursor <cursor>', 'go on after an earlier page: its "next"'),
    run: async (session, _args, { app, environment, status, limit, cursor }) => {
      const client = await session.client();
      const query = { app, environment, status, cursor };
      const page = await listUpTo<DeploymentRow>(client, { path: '/api/v1/deployments', query, limit });
      if (session.json) session.document(page);
      else if (page.items.length === 0) session.line('There are no such deployments.');
      else session.table(page.items, columns(session.world.clock()));
      if (page.next !== null) session.note('There are more: give a larger --limit.');
      return exitCodes.done;
    },
  });
}

const columns = (now: number) => [
  { title: 'DEPLOYMENT', cell: (row: DeploymentRow) => row.id },
  { title: 'APP', cell: (row: DeploymentRow) => row.app },
  { title: 'ENVIRONMENT', cell: (row: DeploymentRow) => row.environment },
  { title: 'STATUS', cell: (row: DeploymentRow) => statusText(row.status) },
  { title: 'WHEN', cell: (row: DeploymentRow) => ago(row.createdAt, now) },
  { title: 'COMMIT', cell: (row: DeploymentRow) => shortCommit(row.commit) },
  { title: 'WHAT', cell: (row: DeploymentRow) => requestText(row.request), shrinks: true },
  { title: 'BY', cell: (row: DeploymentRow) => triggerText(row.trigger), shrinks: true },
  { title: 'REASON', cell: (row: DeploymentRow) => (row.status === 'succeeded' ? '' : row.reason), shrinks: true },
];
