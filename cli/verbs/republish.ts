import type { Command } from 'commander';
import type { JobView } from '../../functions/api/build-shapes.ts';
import { argument } from '../arguments.ts';
import { followRelease } from '../builds/publish.ts';
import { path } from '../client.ts';
import { surely } from '../surely.ts';
import { addVerb, type Cli } from '../verb.ts';

export function registerRepublish(program: Command, cli: Cli): void {
  addVerb(program, cli, {
    usage: 'republish <app> <environment>',
    summary: 'Deploy what an environment has published there once more',
    examples: [['sluice republish web dev', 'exits with 0 only if the deployment succeeded']],
    run: async (session, args) => {
      const [app, environment] = [argument(args, 0), argument(args, 1)];
      const client = await session.client();
      const asked = client.send<JobView>('POST', path`/api/v1/repo/${environment}/republish`, { body: { app } });
      const job = await surely(asked, `sluice list --app ${app} --environment ${environment}`);
      return await followRelease(session, {
        client,
        path: path`/api/v1/job/${String(job.id)}`,
        what: `Publishing ${app} in ${environment} again`,
        again: `sluice follow-job ${job.id}`,
      });
    },
  });
}
