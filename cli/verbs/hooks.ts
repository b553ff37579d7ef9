import type { Command } from 'commander';
import type { JobView } from '../../functions/api/build-shapes.ts';
import { argument } from '../arguments.ts';
import { jobIdOf } from '../builds/address.ts';
import { failureOf, parsedText } from '../builds/follow-job.ts';
import { path } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { listUpTo } from '../pages.ts';
import { addGroup, addVerb, type Cli } from '../verb.ts';

export function registerHooks(program: Command, cli: Cli): void {
  const hooks = addGroup(program, { name: 'hooks', summary: 'List calls of hooks that were given up, and call again' });
  addVerb(hooks, cli, {
    usage: 'list',
    summary: 'List the calls of hooks that were given up, the newest first',
    examples: [['sluice hooks list', 'with the job of each, and why']],
    run: async (session) => {
      const client = await session.client();
      const page = await listUpTo<JobView>(client, { path: '/api/v1/hooks/dead', limit: 100 });
      if (session.json) session.document(page);
      else if (page.items.length === 0) session.line('No call of a hook was given up.');
      else session.table(page.items, columns);
      return exitCodes.done;
    },
  });
  addVerb(hooks, cli, {
    usage: 'retry <job>',
    summary: 'Call a hook that was given up once more, from the beginning',
    examples: [['sluice hooks retry 44', '"sluice follow-job 44" tells how it goes']],
    run: async (session, args) => {
      const client = await session.client();
      const id = jobIdOf(argument(args, 0), client.connection);
      const job = await client.send<JobView>('POST', path`/api/v1/job/${id}/retry`);
      if (session.json) session.document(job);
      else session.line(`The hook of job ${id} is called again.`);
      session.note(`Follow it: sluice follow-job ${id}`);
      return exitCodes.done;
    },
  });
}

const contentOf = (job: JobView, name: string) => {
  const value = parsedText(job.contents)[name];
  return typeof value === 'string' ? value : '';
};
const columns = [
  { title: 'JOB', cell: ({ id }: JobView) => String(id) },
  { title: 'APP', cell: (job: JobView) => contentOf(job, 'app') },
  { title: 'ENVIRONMENT', cell: (job: JobView) => contentOf(job, 'environment') },
  { title: 'HOOK', cell: (job: JobView) => contentOf(job, 'hook') },
  { title: 'WHY', cell: (job: JobView) => failureOf(job) ?? '', shrinks: true },
];
