import { Option, type Command } from 'commander';
import type { AuditResult } from '../../functions/access/audit.ts';
import { isoInstant, wholeNumber } from '../arguments.ts';
import { exitCodes } from '../exit.ts';
import { listUpTo } from '../pages.ts';
import { ago } from '../times.ts';
import { addVerb, type Cli } from '../verb.ts';

type Entry = {
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly app?: string;
  readonly environment?: string;
  readonly build?: string;
  readonly result: string;
  readonly status: number;
  readonly address: string;
};

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
      const page = await listUpTo<Entry>(client, { path: '/api/v1/audit', query: asked, limit });
      if (session.json) session.document(page);
      else if (page.items.length === 0) session.line('There are no such entries.');
      else session.table(page.items, columns(session.world.clock()));
      if (page.next !== null) session.note('There are more: give a larger --limit.');
      return exitCodes.done;
    },
  });
}

const columns = (now: number) => [
  { title: 'WHEN', cell: ({ at }: Entry) => ago(at, now) },
  { title: 'WHO', cell: ({ actor }: Entry) => actor },
  { title: 'WHAT', cell: ({ action }: Entry) => action },
  { title: 'ON', cell: ({ app, environment, build }: Entry) => onText([app, environment, build && `build ${build}`]) },
  { title: 'RESULT', cell: ({ result, status }: Entry) => `${result} (${status})` },
  { title: 'FROM', cell: ({ address }: Entry) => address, shrinks: true },
];

function onText(parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== '').join(' ');
}
