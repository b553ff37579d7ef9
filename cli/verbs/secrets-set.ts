import type { Command } from 'commander';
import { argument } from '../arguments.ts';
import { path } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { Interrupted, WrongUse } from '../failures.ts';
import { printable } from '../terminal-text.ts';
import { addVerb, type Cli } from '../verb.ts';
import type { Input } from '../world.ts';

export function addSet(secrets: Command, cli: Cli): void {
  addVerb<{ keepNewline?: boolean }>(secrets, cli, {
    usage: 'set <app> <name>',
    summary: 'Write a secret of an app',
    details:
      'The value comes from standard input, or is asked for on a terminal without being shown; it is never an argument, ' +
      'which other users of the machine could see. One newline at the end of standard input is taken off. ' +
      'Running tasks keep the value they started with: the next deployment brings the new one.',
    examples: [
      ['sluice secrets set web database-url', 'asks for the value'],
      ['sluice secrets set web database-url < url.txt', 'takes it from a file'],
      ['sluice secrets set web signing-key --keep-newline < key.pem', 'takes a file as it is'],
    ],
    options: (command) => command.option('--keep-newline', 'keep the newline at the end of standard input'),
    run: async (session, args, { keepNewline }) => {
      const app = argument(args, 0);
      const name = argument(args, 1);
      const value = await readValue(session.world.stdin, { question: `Value of ${name} (not shown): `, keepNewline });
      const client = await session.client();
      await client.send('PUT', path`/api/v1/apps/${app}/secrets/${name}`, { body: { value } });
      if (session.json) session.document({ app, name });
      else session.line(printable(`Secret ${name} of ${app} is written. The next deployment uses it.`));
      return exitCodes.done;
    },
  });
}

async function readValue(
  stdin: Input,
  { question, keepNewline = false }: { question: string; keepNewline?: boolean | undefined },
): Promise<string> {
  const typed = stdin.isTerminal ? await stdin.askHidden(printable(question)) : await stdin.readAll();
  if (typed === undefined) throw new Interrupted('Nothing was written.');
  const value = keepNewline ? typed : typed.replace(/\r?\n$/, '');
  if (value === '')
    throw new WrongUse('The value is empty.', { hint: 'Give it on standard input, or type it when asked.' });
  return value;
}
