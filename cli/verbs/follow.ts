import type { Command } from 'commander';
import type { DeploymentRow } from '../../functions/api/shapes.ts';
import { argument } from '../arguments.ts';
import { WrongUse } from '../failures.ts';
import { followDeployment } from '../follow/follow.ts';
import { listUpTo } from '../pages.ts';
import type { Session } from '../session.ts';
import { addVerb, type Cli } from '../verb.ts';

export function registerFollow(program: Command, cli: Cli): void {
  addVerb(program, cli, {
    usage: 'follow <deployment-or-app> [environment]',
    summary: 'Follow a deployment to its end',
    details:
      'With an app and an environment it is the newest deployment there. On a terminal a line per target is kept as it is now, under the timeline and the output of the build; elsewhere ' +
      '(pipes, CI, NO_COLOR) everything comes as plain lines. With --json a line of JSON per event ("type": "event" or ' +
      '"log"), and the deployment last. Ctrl-C stops following and cancels nothing.',
    examples: [
      ['sluice follow 0197f6a2-…', 'until it has ended; exits with 0 only if it succeeded'],
      ['sluice follow web dev', 'the newest deployment of web to dev'],
      ['sluice follow 0197f6a2-… --json | tail -n 1', 'the deployment as it ended'],
    ],
    run: async (session, args) => {
      const [first, environment] = [argument(args, 0), args[1]];
      const id = environment === undefined ? first : await newest(session, first, environment);
      return await followDeployment(session, id);
    },
  });
}

async function newest(session: Session, app: string, environment: string): Promise<string> {
  const query = { app, environment };
  const page = await listUpTo<DeploymentRow>(await session.client(), { path: '/api/v1/deployments', query, limit: 1 });
  const [found] = page.items;
  if (found) return found.id;
  throw new WrongUse(`Nothing has been deployed to ${environment} of ${app}.`, {
    hint: 'See what there is: sluice list',
  });
}
