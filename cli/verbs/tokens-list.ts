import { Option, type Command } from 'commander';
import type { TokenView } from '../../functions/api/token-requests.ts';
import { wholeNumber } from '../arguments.ts';
import { exitCodes } from '../exit.ts';
import { listUpTo } from '../pages.ts';
import { ago } from '../times.ts';
import { addVerb, type Cli } from '../verb.ts';

export function addTokensList(tokens: Command, cli: Cli): void {
  addVerb<{ limit: number; cursor?: string }>(tokens, cli, {
    usage: 'list',
    summary: 'List tokens with what they may do and when they were used last, the newest first',
    examples: [['sluice tokens list', 'those that were minted last; their values never come out']],
    options: (command) =>
      command
        .addOption(new Option('--limit <count>', 'at most so many').argParser(wholeNumber(1, 10_000)).default(50))
        .option('--cursor <cursor>', 'go on after an earlier page: its "next"'),
    run: async (session, _args, { limit, cursor }) => {
      const client = await session.client();
      const page = await listUpTo<TokenView>(client, { path: '/api/v1/tokens', query: { cursor }, limit });
      if (session.json) session.document(page);
      else if (page.items.length === 0) session.line('There are no tokens but the admin token.');
      else session.table(page.items, columns(session.world.clock()));
      if (page.next !== null) session.note('There are more: give a larger --limit.');
      return exitCodes.done;
    },
  });
}

const columns = (now: number) => [
  { title: 'TOKEN', cell: ({ id }: TokenView) => id },
  { title: 'NAME', cell: ({ name }: TokenView) => name },
  { title: 'STATE', cell: (token: TokenView) => stateText(token, now) },
  { title: 'USED', cell: ({ lastUsedAt }: TokenView) => (lastUsedAt === null ? 'never' : ago(lastUsedAt, now)) },
  { title: 'SUB', cell: ({ sub }: TokenView) => sub },
  { title: 'SCOPES', cell: ({ scope }: TokenView) => scope.join(' '), shrinks: true },
  { title: 'APPS', cell: ({ apps }: TokenView) => apps.join(' '), shrinks: true },
  { title: 'ENVIRONMENTS', cell: ({ environments }: TokenView) => environments.join(' '), shrinks: true },
];

function stateText({ revokedAt, revokedBy, expiresAt }: TokenView, now: number): string {
  if (revokedAt !== null) return `revoked by ${revokedBy ?? 'nobody known'}`;
  return Date.parse(expiresAt) <= now ? 'expired' : 'good';
}
