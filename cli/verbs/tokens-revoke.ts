import type { Command } from 'commander';
import { exitCodes } from '../exit.ts';
import { printable } from '../terminal-text.ts';
import { addVerb, type Cli } from '../verb.ts';

export function addRevoke(tokens: Command, cli: Cli): void {
  addVerb(tokens, cli, {
    usage: 'revoke <id...>',
    summary: 'End tokens, and everything that was minted from them',
    details: 'By their ids, as "tokens list" shows them. A token that has ended stays as it ended.',
    examples: [['sluice tokens revoke 0197f6a2-…', 'from now on it opens nothing']],
    run: async (session, args) => {
      const client = await session.client();
      const body = { token_ids: args };
      await client.request({ method: 'POST', path: '/api/v1/tokens/revoke', body, idempotent: true });
      if (session.json) session.document({ revoked: args });
      else for (const id of args) session.line(printable(`Token ${id} is revoked.`));
      return exitCodes.done;
    },
  });
}
