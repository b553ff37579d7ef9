import tab from '@bomb.sh/tab/commander';
import type { Command } from 'commander';
import { loadAllVerbs } from '../program.ts';
import type { Cli } from '../verb.ts';

/**
 * `completion <shell>` prints a script, and the script calls the hidden `complete -- <words>` at each press of the
 * tabulator key. Both come from @bomb.sh/tab, which reads them off the other verbs; so those are all loaded here.
 */
export async function registerCompletion(program: Command, cli: Cli): Promise<void> {
  await loadAllVerbs(program, cli);
  tab(program, { completionCommandName: 'completion' });
  const command = program.commands.find((each) => each.name() === 'completion');
  command?.summary('Print the completion script of a shell').addHelpText('after', examples);
}

const examples = `
The script completes "sluice", so that must be on the PATH, an alias or a function.

Examples:
  $ source <(sluice completion bash)
      in ~/.bashrc; zsh likewise
  $ sluice completion fish > ~/.config/fish/completions/sluice.fish
      for fish
  $ sluice completion powershell | Out-String | Invoke-Expression
      in the profile of PowerShell`;
