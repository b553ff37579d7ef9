import type { Command } from 'commander';
import { argument } from '../arguments.ts';
import { path } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { printable } from '../terminal-text.ts';
import { addVerb, type Cli } from '../verb.ts';

export function addRemove(secrets: Command, cli: Cli): void {
  addVerb(secrets, cli, {
    usage: 'remove <app> <name>',
    summary: 'Remove a secret of an app, with all its versions',
    examples: [['sluice secrets remove web database-url', 'removes it']],
    run: async (session, args) => {
      const app = argument(args, 0);
      const name = argument(args, 1);
      const client = await session.client();
      await client.send('DELETE', path`/api/v1/apps/${app}/secrets/${name}`);
      if (session.json) session.document({ app, name, removed: true });
      else session.line(printable(`Secret ${name} of ${app} is removed.`));
      return exitCodes.done;
    },
  });
}
