import type { Command } from 'commander';
import { argument } from '../arguments.ts';
import { path } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { printable } from '../terminal-text.ts';
import { addVerb, type Cli } from '../verb.ts';

export function addDelete(apps: Command, cli: Cli): void {
  addVerb<{ force?: boolean }>(apps, cli, {
    usage: 'delete <app>',
    summary: 'Delete an app; refused while something of it runs',
    examples: [
      ['sluice apps delete web', 'deletes an app that runs nowhere'],
      ['sluice apps delete web --force', 'drains and stops everything of it first'],
    ],
    options: (command) => command.option('--force', 'drain and stop what runs of it'),
    run: async (session, args, { force }) => {
      const id = argument(args, 0);
      const client = await session.client();
      const query = force ? { force: 'true' } : {};
      const { status } = await client.request({ method: 'DELETE', path: path`/api/v1/apps/${id}`, query });
      const deleted = status !== 202;
      if (session.json) session.document({ id, deleted });
      else if (deleted) session.line(printable(`App ${id} is deleted.`));
      else session.line(printable(`App ${id} is being deleted: its tasks are still draining.`));
      return exitCodes.done;
    },
  });
}
