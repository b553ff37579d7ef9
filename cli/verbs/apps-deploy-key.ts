import type { Command } from 'commander';
import { argument } from '../arguments.ts';
import { path } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { printable } from '../terminal-text.ts';
import { addVerb, type Cli } from '../verb.ts';

export function addDeployKey(apps: Command, cli: Cli): void {
  addVerb(apps, cli, {
    usage: 'deploy-key <app>',
    summary: 'Make a new deploy key for an app and print its public half',
    details:
      'The private half stays in the secrets of the control plane and never comes out. A key made before is replaced: ' +
      'the Git server must be given the new one.',
    examples: [
      ['sluice apps deploy-key web', 'prints the line to add as a read-only deploy key of the repository'],
      ['sluice apps deploy-key web | gh repo deploy-key add - --title sluice', 'adds it at GitHub'],
    ],
    run: async (session, args) => {
      const client = await session.client();
      const key = await client.send<{ publicKey: string }>('POST', path`/api/v1/apps/${argument(args, 0)}/deploy-key`);
      if (session.json) session.document(key);
      else session.line(printable(key.publicKey.trim()));
      session.note('Add this line as a read-only deploy key of the repository.');
      return exitCodes.done;
    },
  });
}
