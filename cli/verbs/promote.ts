import type { Command } from 'commander';
import type { JobView } from '../../functions/api/build-shapes.ts';
import { argument, digest } from '../arguments.ts';
import { followRelease } from '../builds/publish.ts';
import { path } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { surely } from '../surely.ts';
import { addVerb, type Cli } from '../verb.ts';

export function registerPromote(program: Command, cli: Cli): void {
  addVerb<{ artifact?: string; follow: boolean }>(program, cli, {
    usage: 'promote <app> <environment>',
    summary: "Bring what is published in an environment's parent to the environment",
    details:
      'The very same artifact, without a build. The environment is the one that it is brought to; its app says which is ' +
      'its parent. Exits with 0 only if the deployment succeeded.',
    examples: [
      ['sluice promote web stable', 'what its parent, say beta, has published'],
      ['sluice promote web stable --artifact sha256:…', 'something that its parent had published before'],
    ],
    options: (command) =>
      command
        .option('--artifact <digest>', "which of the parent's artifacts; default: the published one", digest)
        .option('--no-follow', 'return as soon as it is taken'),
    run: async (session, args, { artifact, follow }) => {
      const [app, environment] = [argument(args, 0), argument(args, 1)];
      const client = await session.client();
      const body = artifact === undefined ? {} : { artifact };
      const asked = client.send<JobView>('POST', path`/api/v1/apps/${app}/environments/${environment}/promote`, {
        body,
      });
      const job = await surely(asked, `sluice list --app ${app} --environment ${environment}`);
      if (follow) {
        return await followRelease(session, {
          client,
          path: path`/api/v1/job/${String(job.id)}`,
          what: `Promoting ${app} to ${environment}`,
          again: `sluice follow-job ${job.id}`,
        });
      }
      if (session.json) session.document(job);
      else session.line(`Promoting is job ${job.id}.`);
      session.note(`Follow it: sluice follow-job ${job.id}`);
      return exitCodes.done;
    },
  });
}
