import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { commandsOf, type Command } from './readme-blocks.ts';

/**
 * Runs the commands of the README as a newcomer would type them, in a fresh clone of this repository's HEAD:
 *
 *     node scripts/readme-commands.ts [--copy-modules] [file …]
 *
 * Each file (default: README.md) gets a clone of its own. `--copy-modules` copies node_modules from here in place of
 * every `npm ci`. Ends with `N commands passed, N failed`, and with another code than 0 after the first that failed.
 */
const root = fileURLToPath(new URL('../', import.meta.url));
const commandMs = 300_000;
const readyMs = 60_000;
const portsUsed = [4600, 9001];
const copyOptions = { recursive: true, verbatimSymlinks: true } as const;
const say = (text: string) => void process.stdout.write(`${text}\n`);

type Stage = { readonly folder: string; readonly clone: string; readonly env: Record<string, string> };
type Server = { readonly command: Command; stop(): Promise<boolean> };

const { values, positionals } = parseArgs({
  options: { 'copy-modules': { type: 'boolean', default: false } },
  allowPositionals: true,
});
let passed = 0;
let failed = 0;
const taken = await takenPorts();
for (const port of taken) say(`Port ${port} is taken, and the README uses it: stop what listens there.`);
failed += taken.length;
for (const file of positionals.length > 0 ? positionals : ['README.md']) if (failed === 0) await walk(file);
say(`${passed} commands passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

async function walk(file: string): Promise<void> {
  say(`\n${file}`);
  const stage = await makeStage();
  const servers: Server[] = [];
  try {
    const commands = commandsOf(await readFile(join(stage.clone, file), 'utf8'));
    if (commands.length === 0) throw new Error(`${file} has no block that is marked with <!-- ci -->`);
    for (const command of commands) {
      const skipped = values['copy-modules'] && command.text === 'npm ci';
      if (skipped) await cp(join(root, 'node_modules'), join(stage.clone, 'node_modules'), copyOptions);
      else count(await run(command, stage, servers), command);
      if (failed > 0) return;
    }
  } finally {
    for (const server of servers.reverse()) count(await server.stop(), { ...server.command, text: 'the server stops' });
    await rm(stage.folder, { recursive: true, force: true });
  }
}

function count(isFine: boolean, { text }: Command): void {
  if (isFine) passed += 1;
  else failed += 1;
  say(`${isFine ? '✓' : '✗'} ${text}`);
}

/** A clone in a folder of its own, and an environment in which nothing of this one's Sluice or packages is left. */
async function makeStage(): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-readme-'));
  const clone = join(folder, 'sluice');
  await execa('git', ['clone', '--quiet', root, clone]);
  const gitConfig = join(folder, 'gitconfig');
  await writeFile(gitConfig, '[user]\n\tname = Newcomer\n\temail = newcomer@example.com\n');
  const foreign = /^(?:SLUICE_|HELLO_|LOG_|npm_|GIT_|PORT$|HOST$|NODE_OPTIONS$|VITEST)/;
  const env = Object.entries(process.env).filter((entry): entry is [string, string] => {
    return entry[1] !== undefined && !foreign.test(entry[0]);
  });
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((part) => !isOurs(part));
  const git = { GIT_CONFIG_GLOBAL: gitConfig, GIT_TERMINAL_PROMPT: '0' };
  return { folder, clone, env: { ...Object.fromEntries(env), ...git, PATH: path.join(delimiter) } };
}

/** The Node and the tools of the working tree are not a newcomer's. */
function isOurs(path: string): boolean {
  const within = relative(root, path);
  return within !== '..' && !within.startsWith(`..${sep}`);
}

/** Runs a command; true when it ended as the README says, or, where it is a server, when it is ready. */
async function run(command: Command, stage: Stage, servers: Server[]): Promise<boolean> {
  const group = start(command.text, stage);
  if (command.isServer) {
    servers.push({ command, stop: () => stop(group) });
    const isReady = await within(Promise.race([group.ready, group.ended.then(() => false)]), readyMs);
    if (isReady !== true) say(`The server is not ready:\n${group.output()}`);
    return isReady === true;
  }
  const code = await within(group.ended, commandMs);
  group.signal('SIGKILL');
  if (code === command.exitCode) return true;
  const what = code === undefined ? `did not end within ${commandMs / 1000} s` : `ended with ${String(code)}`;
  say(`$ ${command.text}\n${group.output()}\nIt ${what}, and ${command.exitCode} was expected.`);
  return false;
}

/** True when the server stopped with 0; nothing of it is left in any case. */
async function stop(group: Group): Promise<boolean> {
  group.signal('SIGTERM');
  const code = await within(group.ended, readyMs);
  group.signal('SIGKILL');
  if (code !== 0) say(`The server ended with ${String(code)}:\n${group.output()}`);
  return code === 0;
}

/** A command with all its processes. */
type Group = {
  readonly ended: Promise<number | null>;
  readonly ready: Promise<true>;
  output(): string;
  signal(name: NodeJS.Signals): void;
};

function start(text: string, { clone, env }: Stage): Group {
  const child = spawn('bash', ['-c', text], { cwd: clone, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const ready = Promise.withResolvers<true>();
  let output = '';
  const hear = (chunk: Buffer) => {
    output += chunk.toString();
    if (output.includes('Sluice is ready on ')) ready.resolve(true);
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  return {
    ended: once(child, 'exit').then(([code]) => code as number | null),
    ready: ready.promise,
    output: () => output,
    signal: (name) => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, name);
      } catch {
        // Nothing of the group is left.
      }
    },
  };
}

/** What it resolves with, or undefined when that takes longer. */
async function within<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  const first = await Promise.race([work, limit]);
  clearTimeout(timer);
  return first;
}

async function takenPorts(): Promise<readonly number[]> {
  const found = await Promise.all(portsUsed.map(async (port) => ((await isFree(port)) ? [] : [port])));
  return found.flat();
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const isFree = await once(server.listen(port, '127.0.0.1'), 'listening').then(
    () => true,
    () => false,
  );
  server.close();
  return isFree;
}
