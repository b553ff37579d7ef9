import type { Command } from 'commander';
import type { AppView } from '../../functions/api/shapes.ts';
import { readAppFile } from '../app-file.ts';
import { path } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { printable } from '../terminal-text.ts';
import { addVerb, type Cli } from '../verb.ts';

export function addApply(apps: Command, cli: Cli): void {
  addVerb<{ file: string; id?: string }>(apps, cli, {
    usage: 'apply',
    summary: 'Store an app, new or changed, from a file',
    details:
      'The file is JSON or YAML, by its ending; "-" reads standard input. The app\'s id is --id, else the "id" in the ' +
      'file, else the name of its repository (web of git@github.com:acme/web.git). Nothing is deployed by it: a change ' +
      'concerns the deployments that come after.',
    examples: [
      ['sluice apps apply -f app.json', 'stores the app under its own id'],
      ['sluice apps apply -f app.yaml --id web', 'stores it as web'],
      ['sluice apps show web --json | jq ".health.path = \\"/ready\\"" | sluice apps apply -f -', 'changes one field'],
    ],
    options: (command) =>
      command
        .requiredOption('-f, --file <file>', 'the file that describes the app, or - for standard input')
        .option('--id <app>', "the app's id"),
    run: async (session, _args, options) => {
      const { id, idFrom, app } = await readAppFile(session.world, options.file, options.id);
      const client = await session.client();
      const stored = await client.send<AppView>('PUT', path`/api/v1/apps/${id}`, { body: app });
      if (session.json) session.document(stored);
      else session.line(sentence(stored));
      if (idFrom === 'repository') session.note(`It is named after its repository; --id names it otherwise.`);
      return exitCodes.done;
    },
  });
}

function sentence({ id, environments }: AppView): string {
  const names = environments.map((environment) => environment.name).join(', ');
  return printable(`App ${id} is stored. Environments: ${names}.`);
}
