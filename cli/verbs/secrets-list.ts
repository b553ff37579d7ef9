import type { Command } from 'commander';
import { argument } from '../arguments.ts';
import { path } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { printable } from '../terminal-text.ts';
import { addVerb, type Cli } from '../verb.ts';

export function addSecretsList(secrets: Command, cli: Cli): void {
  addVerb(secrets, cli, {
    usage: 'list <app>',
    summary: 'List the names of the secrets of an app; values never come out',
    examples: [['sluice secrets list web', 'one name a line']],
    run: async (session, args) => {
      const client = await session.client();
      const names = await client.get<{ items: { name: string }[] }>(path`/api/v1/apps/${argument(args, 0)}/secrets`);
      if (session.json) session.document(names);
      else for (const { name } of names.items) session.line(printable(name));
      if (names.items.length === 0) session.note('There are no secrets.');
      return exitCodes.done;
    },
  });
}
