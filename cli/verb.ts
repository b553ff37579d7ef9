import type { Command } from 'commander';
import type { ExitCode } from './exit.ts';
import { createSession, type Session } from './session.ts';
import type { World } from './world.ts';

/** What the verbs of one call share: the world, and the code it will exit with. */
export type Cli = { readonly world: World; exitCode: ExitCode };

export type Verb<Options> = {
  /** Its name and arguments as help shows them: `deploy <app> <environment>`. */
  readonly usage: string;
  readonly summary: string;
  /** More about it, for its own help. */
  readonly details?: string;
  /** Calls that work as they stand, each with what it does. */
  readonly examples: readonly (readonly [call: string, effect: string])[];
  /** Adds its options; `--json` is there for every verb. */
  readonly options?: (command: Command) => void;
  readonly run: (session: Session, args: readonly string[], options: Options) => Promise<ExitCode>;
};

/** Puts a verb under a command. */
export function addVerb<Options>(parent: Command, cli: Cli, verb: Verb<Options>): Command {
  const command = parent.command(verb.usage).summary(verb.summary).description(describe(verb));
  verb.options?.(command);
  command.option('--json', 'print JSON for programs');
  command.addHelpText('after', examplesText(verb.examples));
  command.action(async () => {
    const options = command.opts<Options & { json?: boolean }>();
    const session = createSession(cli.world, options.json ?? false);
    cli.exitCode = await verb.run(session, command.args, options);
  });
  return command;
}

/** A command that only holds others, `apps` and `secrets`. */
export function addGroup(parent: Command, options: { name: string; summary: string }): Command {
  return parent.command(options.name).summary(options.summary).description(`${options.summary}.`);
}

function describe<Options>({ summary, details }: Verb<Options>): string {
  return details === undefined ? `${summary}.` : `${summary}.\n\n${details}`;
}

function examplesText(examples: readonly (readonly [string, string])[]): string {
  return ['', 'Examples:', ...examples.flatMap(([call, effect]) => [`  $ ${call}`, `      ${effect}`])].join('\n');
}
