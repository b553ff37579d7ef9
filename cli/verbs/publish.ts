import type { Command } from 'commander';
import { argument } from '../arguments.ts';
import { buildIdOf } from '../builds/address.ts';
import { publishBuild } from '../builds/publish.ts';
import { addVerb, type Cli } from '../verb.ts';

export function registerPublish(program: Command, cli: Cli): void {
  addVerb<{ follow: boolean }>(program, cli, {
    usage: 'publish <build>',
    summary: 'Publish a committed build to its environment, and follow its deployment',
    details:
      'Exits with 0 only if the deployment succeeded (with --no-follow: was taken). Publishing what is published already ' +
      'follows its deployment again. An environment that has a parent takes promotions only.',
    examples: [
      ['sluice publish 7', 'until the new version is live'],
      ['sluice publish 7 --no-follow', 'does not wait'],
    ],
    options: (command) => command.option('--no-follow', 'return as soon as it is taken'),
    run: async (session, args, { follow }) => {
      const { connection } = await session.client();
      return await publishBuild(session, { build: buildIdOf(argument(args, 0), connection), follow });
    },
  });
}
