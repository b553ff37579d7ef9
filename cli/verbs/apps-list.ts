import type { Command } from 'commander';
import type { AppView } from '../../functions/api/shapes.ts';
import { exitCodes } from '../exit.ts';
import { listUpTo } from '../pages.ts';
import { ago } from '../times.ts';
import { addVerb, type Cli } from '../verb.ts';

export function addAppsList(apps: Command, cli: Cli): void {
  addVerb(apps, cli, {
    usage: 'list',
    summary: 'List the apps',
    examples: [['sluice apps list', 'every app with its environments and repository']],
    run: async (session) => {
      const client = await session.client();
      const page = await listUpTo<AppView>(client, { path: '/api/v1/apps', limit: Number.MAX_SAFE_INTEGER });
      if (session.json) session.document(page);
      else if (page.items.length === 0) session.line('There are no apps. "sluice apps apply -f app.json" stores one.');
      else {
        session.table(page.items, [
          { title: 'APP', cell: (app) => app.id },
          { title: 'ENVIRONMENTS', cell: (app) => app.environments.map(({ name }) => name).join(', '), shrinks: true },
          { title: 'BUILD', cell: (app) => app.build?.kind ?? '' },
          { title: 'CHANGED', cell: (app) => ago(app.updatedAt, session.world.clock()) },
          { title: 'SOURCE', cell: (app) => app.source?.repoUrl ?? '', shrinks: true },
        ]);
      }
      return exitCodes.done;
    },
  });
}
