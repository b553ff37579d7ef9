import type { Command } from 'commander';
import type { JobView } from '../../functions/api/build-shapes.ts';
import { wholeNumber } from '../arguments.ts';
import { followAlone } from '../builds/job-alone.ts';
import { path } from '../client.ts';
import { addVerb, type Cli } from '../verb.ts';

type Options = { environment?: string; app?: string; dryRun?: boolean; keepHours?: number };

export function registerPrune(program: Command, cli: Cli): void {
  addVerb<Options>(program, cli, {
    usage: 'prune',
    summary: 'Free the room of what nothing needs any more',
    details:
      'Never what a revision, the history of an environment or an open build names. The job says what it frees before ' +
      'and after.',
    examples: [
      ['sluice prune --dry-run', 'says what it would free, and frees nothing'],
      ['sluice prune --app web --environment dev', 'of one environment'],
    ],
    options: (command) =>
      command
        .option('--environment <environment>', 'only of this environment')
        .option('--app <app>', 'only of this app')
        .option('--dry-run', 'free nothing')
        .option('--keep-hours <hours>', 'leave alone what is younger; default: a day', wholeNumber(0, 8760)),
    run: async (session, _args, { environment, app, dryRun = false, keepHours }) => {
      const client = await session.client();
      const { body: job } = await client.request<JobView>({
        method: 'POST',
        path: '/api/v1/prune',
        body: {
          ...(environment === undefined ? {} : { repo: environment }),
          ...(app === undefined ? {} : { app }),
          ...(dryRun ? { 'dry-run': true } : {}),
          ...(keepHours === undefined ? {} : { 'keep-hours': keepHours }),
        },
      });
      const { exitCode } = await followAlone(session, {
        client,
        path: path`/api/v1/job/${String(job.id)}`,
        what: dryRun ? 'Pruning, dry' : 'Pruning',
        again: `sluice follow-job ${job.id}`,
      });
      return exitCode;
    },
  });
}
