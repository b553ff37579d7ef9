import { Option, type Command } from 'commander';
import type { AuditResult } from '../../functions/access/audit.ts';
import type { AuditView } from '../../functions/api/token-requests.ts';
import { isoInstant, wholeNumber } from '../arguments.ts';
import { exitCodes } from '../exit.ts';
import { listUpTo } from '../pages.ts';
import { ago } from '../times.ts';
import { addVerb, type Cli } from '../verb.ts';

/** Written out, as only types come from functions/: the compiler holds it to the results there are. */
const results: Readonly<Record<AuditResult, true>> = { done: true, refused: true, rejected: true, failed: true };

type Options = {
  app?: string;
  actor?: string;
  action?: string;
  result?: AuditResult;
  after?: string;
  before?: string;
  limit: number;
  cursor?: string;
};

export function registerAudit(program: Command, cli: Cli): void {
  addVerb<Options>(program, cli, {
    usage: 'audit',
    summary: 'Show who did what, from where, and how it ended, the newest first',
    examples: [
      ['sluice audit --app web', 'what was done to an app'],
      ['sluice audit --result refused --after 2026-11-20', 'what was tried without permission since then'],
    ],
    options: (command) =>
      command
        .option('--app <app>', 'only of this app')
        .option('--actor <name>', 'only by the token of this name')
        .option('--action <action>', 'only this operation, by its id in the OpenAPI document')
        .addOption(new Option('--result <result>', 'only what ended so').choices(Object.keys(results)))
        .option('--after <time>', 'only since then', isoInstant)
        .option('--before <time>', 'only before then', isoInstant)
        .addOption(new Option('--limit <count>', 'at most so many').argParser(wholeNumber(1, 10_000)).default(50))
        .option('--cursor <cursor>', 'go on after an earlier page: its "next"'),
    run: async (session, _args, { limit, ...query }) => {
      const { app, actor, action, result, after, before, cursor } = query;
      const client = await session.client();
      const asked = { app, actor, action, result, after, before, cursor };
      const page = await listUpTo<AuditView>(client, { path: '/api/v1/audit', query: asked, limit });
      if (session.json) session.document(page);
      else if (page.items.length === 0) session.line('There are no such entries.');
      else session.table(page.items, columns(session.world.clock()));
      if (page.next !== null) session.note('There are more: give a larger --limit.');
      return exitCodes.done;
    },
  });
}

const columns = (now: number) => [
  { title: 'WHEN', cell: ({ at }: AuditView) => ago(at, now) },
  { title: 'WHO', cell: ({ actor }: AuditView) => actor },
  { title: 'WHAT', cell: ({ action }: AuditView) => action },
  {
    title: 'ON',
    cell: ({ app, environment, build }: AuditView) =>
      onText([app, environment, build === null ? null : `build ${build}`]),
  },
  { title: 'RESULT', cell: ({ result, status }: AuditView) => `${result} (${status})` },
  { title: 'FROM', cell: ({ address }: AuditView) => address, shrinks: true },
];

function onText(parts: readonly (string | null)[]): string {
  return parts.filter((part) => part !== null && part !== '').join(' ');
}
