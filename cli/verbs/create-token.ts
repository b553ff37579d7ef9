import type { Command } from 'commander';
import { argument, durationSeconds, several } from '../arguments.ts';
import { exitCodes } from '../exit.ts';
import { surely } from '../surely.ts';
import { printable } from '../terminal-text.ts';
import { addVerb, type Cli } from '../verb.ts';

type Options = {
  duration: number;
  app: readonly string[];
  prefix: readonly string[];
  repo: readonly string[];
  environment: readonly string[];
};

export function registerCreateToken(program: Command, cli: Cli): void {
  addVerb<Options>(program, cli, {
    usage: 'create-token <name> <sub> <scope...>',
    summary: 'Mint a token that can do less than the one it is made by',
    details:
      'Never more: what is not named is as in the token in SLUICE_TOKEN. The sub is what it is for ("build", "build/7", ' +
      '"app/web/dev"; "" is everything). It is shown this once, alone on standard output, and ends with the token it was ' +
      'made by.',
    examples: [
      ['sluice create-token ci build build upload publish --app web --duration 1h', 'for a run of CI'],
      ['sluice create-token uploader build/7 upload', 'for one build'],
    ],
    options: (command) => {
      const repeated = (flags: string, what: string) => command.option(flags, `${what}; may be repeated`, several, []);
      command.option('--duration <time>', 'how long it is good for: seconds, 30m, 1h, 7d', durationSeconds, 86_400);
      repeated('--app <app>', 'only this app');
      repeated('--prefix <prefix>', 'only apps of these dotted names');
      repeated('--repo <environment>', 'only builds for this environment');
      repeated('--environment <environment>', 'only deployments to this environment');
    },
    run: async (session, args, { duration, app, prefix, repo, environment }) => {
      const client = await session.client();
      const [name, sub, scope] = [argument(args, 0), argument(args, 1), args.slice(2)];
      // An empty list would be the parent's, which is what leaving it out says.
      const named = Object.entries({ apps: app, prefixes: prefix, repos: repo, environments: environment });
      const lists = Object.fromEntries(named.filter(([, list]) => list.length > 0));
      const body = { name, sub, scope, duration, ...lists };
      const asked = client.send<{ token: string }>('POST', '/api/v1/token_subset', { body });
      const minted = await surely(asked, 'sluice tokens list');
      if (session.json) session.document(minted);
      else session.line(printable(minted.token));
      return exitCodes.done;
    },
  });
}
