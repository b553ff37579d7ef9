import type { Command } from 'commander';
import { argument } from '../arguments.ts';
import { buildIdOf } from '../builds/address.ts';
import { commitBuild } from '../builds/commit.ts';
import { addVerb, type Cli } from '../verb.ts';

export function registerCommit(program: Command, cli: Cli): void {
  addVerb<{ dropStrays?: boolean }>(program, cli, {
    usage: 'commit <build>',
    summary: 'Commit a build: verify all that was pushed, and make it one artifact',
    details:
      'Follows the job and the checks of the app. When something is missing or wrong it says what, exits with 1, and the ' +
      'build stays open for it to be pushed. Committing what is committed already is fine.',
    examples: [
      ['sluice commit 7', 'exits with 0 when the build is ready to be published'],
      ['sluice commit 7 --drop-strays', 'forgets objects that nothing in the build needs'],
    ],
    options: (command) => command.option('--drop-strays', 'drop objects that no ref needs, instead of failing'),
    run: async (session, args, { dropStrays = false }) => {
      const { connection } = await session.client();
      return await commitBuild(session, { build: buildIdOf(argument(args, 0), connection), dropStrays });
    },
  });
}
