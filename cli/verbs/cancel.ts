import type { Command } from 'commander';
import type { DeploymentView } from '../../functions/api/shapes.ts';
import { argument } from '../arguments.ts';
import { path } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { printable } from '../terminal-text.ts';
import { addVerb, type Cli } from '../verb.ts';
import { statusText } from '../words.ts';

export function registerCancel(program: Command, cli: Cli): void {
  addVerb(program, cli, {
    usage: 'cancel <deployment>',
    summary: 'Cancel a deployment and undo what it changed',
    details:
      'It is taken at once and carried out afterwards: what was started is stopped, what was changed is put back.',
    examples: [['sluice cancel 0197f6a2-…', 'asks for it; "sluice follow" shows when it is done']],
    run: async (session, args) => {
      const id = argument(args, 0);
      const client = await session.client();
      const answer = await client.send<DeploymentView>('POST', path`/api/v1/deployments/${id}/cancel`);
      if (session.json) session.document(answer);
      else session.line(printable(`Deployment ${id} is being cancelled; it is ${statusText(answer.status)} now.`));
      session.note(`Follow it: sluice follow ${id}`);
      return exitCodes.done;
    },
  });
}
