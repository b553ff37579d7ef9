import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { AppUser, Environment } from './outside.ts';
import { outputLines } from './output-lines.ts';

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
  /** Its exit code, or the signal that ended it; undefined when it was never begun. */
  readonly status: string | undefined;

  constructor(
    message: string,
    options: { readonly lines: readonly string[]; readonly status?: string | undefined; readonly cause?: unknown },
  ) {
    super(message, { cause: options.cause });
    this.lines = options.lines;
    this.status = options.status;
  }
}

const linesKept = 20;

/** Runs a command and passes on every line as it is written. Throws `CommandFailed`. */
export async function runCommand(command: Command, print: (line: string) => void): Promise<void> {
  const lines: string[] = [];
  const onLine = keepLast(lines, print);
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

/**
 * Runs a command that reads `input` on its standard input, and passes on every line that it writes. When `input` fails,
 * the command is killed before it can take what it has got for the whole, and that error is thrown. Throws `CommandFailed`.
 */
export async function feedCommand(
  command: Command,
  input: AsyncIterable<Uint8Array>,
  print: (line: string) => void,
): Promise<void> {
  const lines: string[] = [];
  const onLine = keepLast(lines, print);
  const child = spawn(command.file, [...command.args], { ...optionsOf(command), stdio: 'pipe' });
  readLines(child.stdout, onLine);
  readLines(child.stderr, onLine);
  let failure: unknown;
  const fail = (error: unknown): never => {
    failure = error;
    child.kill('SIGKILL');
    throw error;
  };
  async function* guarded() {
    const iterator = input[Symbol.asyncIterator]();
    try {
      for (let next = await iterator.next().catch(fail); !next.done; next = await iterator.next().catch(fail)) {
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  }
  // One that ends before it has read everything says why itself.
  const fed = pipeline(Readable.from(guarded(), { objectMode: false }), child.stdin).catch(() => {});
  await ended(child, 'close', { command, lines }).catch((error: unknown) => {
    throw failure ?? error;
  });
  await fed;
}

/**
 * Runs a command of a stranger's, and passes on every line in the order in which it was written. It has ended when its
 * first process has; what others that it left behind write later is nobody's. Throws `CommandFailed`.
 */
export async function watchCommand(command: Command, print: (line: string) => void): Promise<void> {
  const lines: string[] = [];
  const onLine = keepLast(lines, print);
  // All output goes one way, so that lines keep their order.
  const args = ['-c', 'exec "$@" 2>&1', 'sh', command.file, ...command.args];
  const child = spawn('sh', args, { ...optionsOf(command), stdio: ['ignore', 'pipe', 'inherit'] });
  const read = (async () => {
    for await (const group of outputLines(child.stdout)) for (const line of group) onLine(line);
  })().catch(() => {}); // It is closed below, and has told what it had.
  try {
    // `lines` is complete when its error is looked at.
    await ended(child, 'exit', { command, lines });
  } finally {
    await Promise.race([read, pause(strayOutputMs, undefined, { ref: false })]);
    child.stdout.destroy();
  }
}

/** So long the last words of a command may be on their way, when another holds the pipe open. */
const strayOutputMs = 250;

type Sinks = { readonly stdout: (line: string) => void; readonly stderr: (line: string) => void };

async function started(command: Command, sinks: Sinks | 'inherit', lines: readonly string[]): Promise<void> {
  const pipe = sinks === 'inherit' ? 'inherit' : 'pipe';
  const child = spawn(command.file, [...command.args], { ...optionsOf(command), stdio: ['ignore', pipe, pipe] });
  if (sinks !== 'inherit') {
    readLines(child.stdout, sinks.stdout);
    readLines(child.stderr, sinks.stderr);
  }
  await ended(child, sinks === 'inherit' ? 'exit' : 'close', { command, lines });
}

function optionsOf({ cwd, env, user }: Command) {
  return { cwd, env: { ...env }, ...user };
}

async function ended(
  child: ChildProcess,
  event: 'exit' | 'close',
  { command, lines }: { readonly command: Command; readonly lines: readonly string[] },
): Promise<void> {
  const name = command.file.split('/').at(-1) ?? command.file;
  await new Promise<void>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new CommandFailed(`${name} cannot be run: ${cause.message}`, { lines, cause })),
    );
    child.once(event, (code, signal) => {
      const status = String(signal ?? code);
      if (code === 0) resolve();
      else reject(new CommandFailed(`${name} ended with ${status}`, { lines, status }));
    });
  });
}

function keepLast(lines: string[], print: (line: string) => void): (line: string) => void {
  return (line) => {
    lines.push(line);
    if (lines.length > linesKept) lines.shift();
    print(line);
  };
}

function readLines(stream: Readable | null, onLine: (line: string) => void): void {
  if (stream) createInterface({ input: stream, crlfDelay: Infinity }).on('line', onLine);
}
