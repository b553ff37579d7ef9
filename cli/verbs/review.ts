import { Argument, type Command } from 'commander';
import { argument } from '../arguments.ts';
import { jobIdOf } from '../builds/address.ts';
import { path } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { addVerb, type Cli } from '../verb.ts';

/** What a person says of a check, and what the builds service calls it. */
const statuses: Readonly<Record<string, string>> = {
  passed: 'Passed',
  warned: 'PassedWithWarnings',
  failed: 'Failed',
};

export function registerReview(program: Command, cli: Cli): void {
  const command = addVerb<{ reason?: string }>(program, cli, {
    usage: 'review <job>',
    summary: 'Say how a check is to count that waits for a review',
    details: 'The job is that of the check, as "sluice commit" tells it. The build is ready when all its checks are.',
    examples: [
      ['sluice review 43 passed', 'the build goes on'],
      ['sluice review 43 failed --reason "too large"', 'the build has failed'],
    ],
    options: (each) => each.option('--reason <text>', 'why, for whoever reads it later'),
    run: async (session, args, { reason }) => {
      const client = await session.client();
      const job = jobIdOf(argument(args, 0), client.connection);
      const said = argument(args, 1);
      const status = { status: statuses[said], ...(reason === undefined ? {} : { reason }) };
      const body = { 'new-status': status };
      await client.request({ method: 'POST', path: path`/api/v1/job/${job}/check/review`, body, idempotent: true });
      if (session.json) session.document({ job: Number(job), status: said });
      else session.line(`The check of job ${job} counts as ${said}.`);
      return exitCodes.done;
    },
  });
  command.addArgument(new Argument('<status>', 'how it counts').choices(Object.keys(statuses)));
}
