import { Option, type Command } from 'commander';
import type { BuildView } from '../../functions/api/build-shapes.ts';
import { wholeNumber } from '../arguments.ts';
import { repoStates, stateText } from '../builds/states.ts';
import type { Client, Query } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { ago } from '../times.ts';
import { addVerb, type Cli } from '../verb.ts';
import { shortDigest } from '../words.ts';

type Options = { app?: string; environment?: string; state?: string; limit: number; cursor?: string };

export function registerBuilds(program: Command, cli: Cli): void {
  addVerb<Options>(program, cli, {
    usage: 'builds',
    summary: 'List builds, by Git and by upload, the newest first',
    examples: [
      ['sluice builds --app web --environment dev', 'those of one environment'],
      ['sluice builds --state uploading --json', 'those that are still open, as JSON'],
    ],
    options: (command) =>
      command
        .option('--app <app>', 'only of this app')
        .option('--environment <environment>', 'only for this environment')
        .addOption(new Option('--state <state>', 'only those that are so').choices(Object.keys(repoStates)))
        .addOption(new Option('--limit <count>', 'at most so many').argParser(wholeNumber(1, 10_000)).default(20))
        .option('--cursor <cursor>', 'go on after an earlier page: its "next"'),
    run: async (session, _args, { app, environment, state, limit, cursor }) => {
      const client = await session.client();
      const query = { 'app-id': app, repo: environment, state, cursor };
      const page = await listBuilds(client, query, limit);
      if (session.json) session.document(page);
      else if (page.items.length === 0) session.line('There are no such builds.');
      else session.table(page.items, columns(session.world.clock()));
      if (page.next !== null) session.note('There are more: give a larger --limit.');
      return exitCodes.done;
    },
  });
}

type Page = { readonly items: readonly BuildView[]; readonly next: string | null };

/** The list is a bare array, as its stock clients expect; where it goes on stands in a header. */
async function listBuilds(client: Client, query: Query, limit: number): Promise<Page> {
  const items: BuildView[] = [];
  let cursor = query['cursor'];
  for (;;) {
    const size = Math.min(limit - items.length, largestPage);
    const { body, headers } = await client.request<readonly BuildView[]>({
      method: 'GET',
      path: '/api/v1/build',
      query: { ...query, cursor, limit: size },
    });
    items.push(...body);
    const next = headers.get('x-next-cursor');
    if (next === null || items.length >= limit) return { items: items.slice(0, limit), next };
    cursor = next;
  }
}

const largestPage = 100;

const columns = (now: number) => [
  { title: 'BUILD', cell: (build: BuildView) => String(build.id) },
  { title: 'APP', cell: (build: BuildView) => build.app_id ?? '' },
  { title: 'KIND', cell: (build: BuildView) => build.kind },
  { title: 'ENVIRONMENT', cell: (build: BuildView) => build.repo },
  { title: 'STATE', cell: (build: BuildView) => stateText(build) },
  { title: 'WHEN', cell: (build: BuildView) => ago(build.created, now) },
  { title: 'ARTIFACT', cell: (build: BuildView) => (build.artifact ? shortDigest(build.artifact.digest) : '') },
  { title: 'BY', cell: (build: BuildView) => build.token_name ?? '', shrinks: true },
  {
    title: 'REASON',
    cell: (build: BuildView) => build.repo_state_reason ?? build.published_state_reason ?? '',
    shrinks: true,
  },
];
