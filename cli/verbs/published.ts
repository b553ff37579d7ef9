import type { Command } from 'commander';
import type { PointerView } from '../../functions/api/build-shapes.ts';
import { argument } from '../arguments.ts';
import { path } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { ago } from '../times.ts';
import { addVerb, type Cli } from '../verb.ts';

export function registerPublished(program: Command, cli: Cli): void {
  addVerb(program, cli, {
    usage: 'published <app> <environment>',
    summary: 'Show what was published in an environment, the newest first',
    details: 'The first line is what is published now. Any of them can be promoted to the environments after it.',
    examples: [['sluice published web beta', 'their digests, as "sluice promote --artifact" takes them']],
    run: async (session, args) => {
      const client = await session.client();
      const [app, environment] = [argument(args, 0), argument(args, 1)];
      const pointer = await client.get<PointerView>(path`/api/v1/apps/${app}/environments/${environment}/published`);
      if (session.json) session.document(pointer);
      else if (pointer.history.length === 0) session.line('Nothing has been published there.');
      else session.table(pointer.history, columns(session.world.clock()));
      return exitCodes.done;
    },
  });
}

type Published = PointerView['history'][number];

const columns = (now: number) => [
  { title: 'ARTIFACT', cell: ({ artifact }: Published) => artifact },
  { title: 'KIND', cell: ({ kind }: Published) => kind },
  { title: 'WHEN', cell: ({ at }: Published) => ago(at, now) },
  { title: 'FROM', cell: ({ build, from }: Published) => (build === null ? (from ?? '') : `build ${build}`) },
  { title: 'BY', cell: ({ by }: Published) => by, shrinks: true },
];
