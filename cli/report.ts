import { CommanderError } from 'commander';
import { exitCodes, type ExitCode } from './exit.ts';
import { Interrupted, NotReachable, Refused, WrongUse } from './failures.ts';
import { printable, printableJson } from './terminal-text.ts';
import type { World } from './world.ts';

/**
 * Tells on standard error what went wrong, under `--json` as one JSON document, and answers with the exit code.
 * What none of us foresaw is thrown on: it is a defect, and its stack helps to mend it.
 */
export function reportFailure(error: unknown, world: World, json: boolean): ExitCode {
  const failure = described(error);
  if (failure === undefined) throw error;
  const { code, document, lines } = failure;
  const text = json ? printableJson(document) : lines.map((line) => printable(line)).join('\n');
  if (text !== '') world.stderr.write(`${text}\n`);
  return code;
}

type Failure = { readonly code: ExitCode; readonly document: unknown; readonly lines: readonly string[] };

function described(error: unknown): Failure | undefined {
  if (error instanceof CommanderError) return misused(error);
  if (error instanceof Refused) return refused(error);
  if (error instanceof WrongUse) return plain(error, exitCodes.wrongUse, 'wrong-use');
  if (error instanceof NotReachable) return plain(error, exitCodes.notReachable, 'not-reachable');
  if (error instanceof Interrupted) return plain(error, exitCodes.interrupted, 'interrupted');
  return undefined;
}

function plain(error: Error & { hint?: string | undefined }, code: ExitCode, errorType: string): Failure {
  const hint = error.hint === undefined ? [] : error.hint.split('\n');
  const sentence = code === exitCodes.interrupted ? error.message : `sluice: ${error.message}`;
  const lines = [sentence, ...hint];
  return { code, document: { 'error-type': errorType, message: [error.message, ...hint].join(' ') }, lines };
}

/** The sentence, then each field and what was expected of it. */
function refused({ problem, hint }: Refused): Failure {
  const fields = (problem.issues ?? []).map(
    ({ field, expected }) => `  ${field || '(the whole)'}: expected ${expected}`,
  );
  const lines = [`sluice: ${asSentence(problem.message)}`, ...fields, ...(hint === undefined ? [] : [hint])];
  return { code: exitCodes.wrongUse, document: problem, lines };
}

function asSentence(text: string): string {
  return /[.!?:)]$/.test(text) ? text : `${text}.`;
}

/** Commander has said in its own words what is wrong; help and version are no failures. */
function misused(error: CommanderError): Failure {
  const asked = error.code === 'commander.helpDisplayed' || error.code === 'commander.version';
  const document = { 'error-type': 'wrong-use', message: error.message.replace(/^error: /, '').replaceAll('\n', ' ') };
  if (asked || (error.code === 'commander.help' && error.exitCode === 0))
    return { code: exitCodes.done, document, lines: [] };
  if (error.code === 'commander.help') return { code: exitCodes.wrongUse, document, lines: [] };
  const lines = [`sluice: ${asSentence(document.message)}`, 'Add --help to see what there is.'];
  return { code: exitCodes.wrongUse, document, lines };
}
