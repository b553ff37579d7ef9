import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { AppUser, Environment } from './outside.ts';

/** A command as a value: no shell ever sees it. */
export type Command = {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** The whole environment. */
  readonly env: Environment;
  /** Runs it as another user; only root can. It has no other group than the one named. */
  readonly user?: AppUser;
};

/** A command that ended otherwise than with 0; `lines` are the last it wrote. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
  readonly lines: readonly string[];

  constructor(message: string, options: { readonly lines: readonly string[]; readonly cause?: unknown }) {
    super(message, { cause: options.cause });
    this.lines = options.lines;
  }
}

const linesKept = 20;

/** Runs a command and passes on every line as it is written. Throws `CommandFailed`. */
export async function runCommand(command: Command, print: (line: string) => void): Promise<void> {
  const lines: string[] = [];
  const onLine = (line: string) => {
    lines.push(line);
    if (lines.length > linesKept) lines.shift();
    print(line);
  };
  await started(command, { stdout: onLine, stderr: onLine }, lines);
}

/** Runs a command and answers with its standard output; its messages are kept for the error. Throws `CommandFailed`. */
export async function askCommand(command: Command): Promise<string> {
  const lines: string[] = [];
  let output = '';
  const stdout = (line: string) => void (output += `${line}\n`);
  await started(command, { stdout, stderr: (line) => void lines.push(line) }, lines);
  return output.trimEnd();
}

/** Runs a command that writes straight into the log: for steps that know no secret. Throws `CommandFailed`. */
export async function passCommand(command: Command): Promise<void> {
  await started(command, 'inherit', []);
}

type Sinks = { readonly stdout: (line: string) => void; readonly stderr: (line: string) => void };

async function started(command: Command, sinks: Sinks | 'inherit', lines: readonly string[]): Promise<void> {
  const pipe = sinks === 'inherit' ? 'inherit' : 'pipe';
  const child = spawn(command.file, [...command.args], {
    cwd: command.cwd,
    env: { ...command.env },
    ...command.user,
    stdio: ['ignore', pipe, pipe],
  });
  if (sinks !== 'inherit') {
    readLines(child.stdout, sinks.stdout);
    readLines(child.stderr, sinks.stderr);
  }
  const name = command.file.split('/').at(-1) ?? command.file;
  await new Promise<void>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new CommandFailed(`${name} cannot be run: ${cause.message}`, { lines, cause })),
    );
    child.once(sinks === 'inherit' ? 'exit' : 'close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new CommandFailed(`${name} ended with ${signal ?? code}`, { lines }));
    });
  });
}

function readLines(stream: Readable | null, onLine: (line: string) => void): void {
  if (stream) createInterface({ input: stream, crlfDelay: Infinity }).on('line', onLine);
}
