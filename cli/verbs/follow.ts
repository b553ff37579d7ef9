import type { Command } from 'commander';
import { argument } from '../arguments.ts';
import { followDeployment } from '../follow/follow.ts';
import { addVerb, type Cli } from '../verb.ts';

export function registerFollow(program: Command, cli: Cli): void {
  addVerb(program, cli, {
    usage: 'follow <deployment>',
    summary: 'Follow a deployment to its end',
    details:
      'On a terminal a line per target is kept as it is now, under the timeline and the output of the build; elsewhere ' +
      '(pipes, CI, NO_COLOR) everything comes as plain lines. With --json a line of JSON per event ("type": "event" or ' +
      '"log"), and the deployment last. Ctrl-C stops following and cancels nothing.',
    examples: [
      ['sluice follow 0197f6a2-…', 'until it has ended; exits with 0 only if it succeeded'],
      ['sluice follow 0197f6a2-… --json | tail -n 1', 'the deployment as it ended'],
    ],
    run: async (session, args) => await followDeployment(session, argument(args, 0)),
  });
}
