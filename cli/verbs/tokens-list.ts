import { Option, type Command } from 'commander';
import { wholeNumber } from '../arguments.ts';
import { exitCodes } from '../exit.ts';
import { listUpTo } from '../pages.ts';
import { ago } from '../times.ts';
import { addVerb, type Cli } from '../verb.ts';

/** What is known of a token; its value is nowhere. */
type Token = {
  readonly jti: string;
  readonly name: string;
  readonly sub: string;
  readonly scope: readonly string[];
  readonly apps: readonly string[];
  readonly environments: readonly string[];
  readonly expires: string;
  readonly lastUsed: string | null;
  readonly revoked: { readonly at: string; readonly by: string } | null;
};

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
      const page = await listUpTo<Token>(client, { path: '/api/v1/tokens', query: { cursor }, limit });
      if (session.json) session.document(page);
      else if (page.items.length === 0) session.line('There are no tokens but the admin token.');
      else session.table(page.items, columns(session.world.clock()));
      if (page.next !== null) session.note('There are more: give a larger --limit.');
      return exitCodes.done;
    },
  });
}

const columns = (now: number) => [
  { title: 'TOKEN', cell: ({ jti }: Token) => jti },
  { title: 'NAME', cell: ({ name }: Token) => name },
  { title: 'STATE', cell: (token: Token) => stateText(token, now) },
  { title: 'USED', cell: ({ lastUsed }: Token) => (lastUsed === null ? 'never' : ago(lastUsed, now)) },
  { title: 'SUB', cell: ({ sub }: Token) => sub },
  { title: 'SCOPES', cell: ({ scope }: Token) => scope.join(' '), shrinks: true },
  { title: 'APPS', cell: ({ apps }: Token) => apps.join(' '), shrinks: true },
  { title: 'ENVIRONMENTS', cell: ({ environments }: Token) => environments.join(' '), shrinks: true },
];

function stateText({ revoked, expires }: Token, now: number): string {
  if (revoked !== null) return `revoked by ${revoked.by}`;
  return Date.parse(expires) <= now ? 'expired' : 'good';
}
