import type { Command } from 'commander';
import { argument } from '../arguments.ts';
import { path } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { WrongUse } from '../failures.ts';
import { printable } from '../terminal-text.ts';
import { addVerb, type Cli } from '../verb.ts';

export function registerScale(program: Command, cli: Cli): void {
  addVerb(program, cli, {
    usage: 'scale <app> <environment> <target> <count>',
    summary: 'Set how many tasks a target keeps',
    details: 'New tasks serve once they are healthy; tasks that go are drained first.',
    examples: [['sluice scale web dev web 4', 'four tasks of the target web']],
    run: async (session, args) => {
      const [app, environment, target] = [argument(args, 0), argument(args, 1), argument(args, 2)];
      const desiredCount = countOf(argument(args, 3));
      const client = await session.client();
      const answer = await client.send<unknown>('PUT', path`/api/v1/apps/${app}/environments/${environment}/scale`, {
        body: { target, desiredCount },
      });
      if (session.json) session.document(answer ?? { app, environment, target, desiredCount });
      else
        session.line(
          printable(`Target ${target} of ${app} in ${environment} keeps ${desiredCount} tasks from now on.`),
        );
      session.note(`See it: sluice status ${app} ${environment}`);
      return exitCodes.done;
    },
  });
}

function countOf(text: string): number {
  if (/^\d{1,4}$/.test(text) && Number(text) <= 1000) return Number(text);
  throw new WrongUse('count: expected a whole number from 0 to 1000.');
}
