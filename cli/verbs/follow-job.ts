import type { Command } from 'commander';
import { argument } from '../arguments.ts';
import { jobIdOf } from '../builds/address.ts';
import { followAlone } from '../builds/job-alone.ts';
import { path } from '../client.ts';
import { addVerb, type Cli } from '../verb.ts';

export function registerFollowJob(program: Command, cli: Cli): void {
  addVerb(program, cli, {
    usage: 'follow-job <job>',
    summary: 'Follow a job of the builds service to its end',
    details:
      'A commit, a publish, a check, a prune. Exits with 0 if it ended well, with 1 if it failed. With --json a line of ' +
      'JSON per line of its log, and the job last.',
    examples: [['sluice follow-job 42', 'prints its log while it is written']],
    run: async (session, args) => {
      const client = await session.client();
      const id = jobIdOf(argument(args, 0), client.connection);
      const job = { client, path: path`/api/v1/job/${id}`, what: `Job ${id}`, again: `sluice follow-job ${id}` };
      return (await followAlone(session, job)).exitCode;
    },
  });
}
