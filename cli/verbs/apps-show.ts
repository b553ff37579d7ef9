import type { Command } from 'commander';
import type { AppView } from '../../functions/api/shapes.ts';
import { argument } from '../arguments.ts';
import { path } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { printable, printableLines } from '../terminal-text.ts';
import { ago } from '../times.ts';
import { addVerb, type Cli } from '../verb.ts';

export function addShow(apps: Command, cli: Cli): void {
  addVerb(apps, cli, {
    usage: 'show <app>',
    summary: 'Show an app whole, with every default filled in',
    examples: [
      ['sluice apps show web', 'the app as YAML, which "apps apply" takes'],
      ['sluice apps show web --json', 'the same as JSON'],
    ],
    run: async (session, args) => {
      const client = await session.client();
      const app = await client.get<AppView>(path`/api/v1/apps/${argument(args, 0)}`);
      if (session.json) session.document(app);
      else await print(app, session.line, session.world.clock());
      return exitCodes.done;
    },
  });
}

async function print(app: AppView, line: (text: string) => void, now: number): Promise<void> {
  const { stringify } = await import('yaml');
  const { createdAt, updatedAt, ...settings } = app;
  line(printable(`# stored ${ago(createdAt, now)}, changed ${ago(updatedAt, now)}`));
  for (const text of printableLines(stringify(settings, { lineWidth: 0 }).trimEnd())) line(text);
}
