import type { Command } from 'commander';
import type { DeploymentView } from '../../functions/api/shapes.ts';
import { argument } from '../arguments.ts';
import { path } from '../client.ts';
import { startDeployment } from '../start-deployment.ts';
import { addVerb, type Cli } from '../verb.ts';

export function registerRollback(program: Command, cli: Cli): void {
  addVerb<{ to?: string; follow: boolean }>(program, cli, {
    usage: 'rollback <app> <environment>',
    summary: 'Bring back the last good revision of an environment',
    details:
      'Artifact, environment variables and secret versions come back together, without a build. What is being deployed ' +
      'there, or waits, is cancelled. Followed like any deployment.',
    examples: [
      ['sluice rollback web dev', 'the revision before the current one'],
      ['sluice rollback web dev --to 0197f6a2-…', 'the revision of that deployment'],
    ],
    options: (command) =>
      command
        .option('--to <deployment>', 'the deployment whose revision to bring back')
        .option('--no-follow', 'return as soon as the deployment is queued'),
    run: async (session, args, { to, follow }) => {
      const [app, environment] = [argument(args, 0), argument(args, 1)];
      return await startDeployment(session, {
        follow,
        start: async (client) =>
          await client.send<DeploymentView>('POST', path`/api/v1/apps/${app}/environments/${environment}/rollback`, {
            body: to === undefined ? {} : { to },
          }),
        lostHint: `sluice list --app ${app} --environment ${environment}`,
      });
    },
  });
}
