#!/usr/bin/env node
// Plain JavaScript for Node 20 and later: it only finds a Node that runs TypeScript, and hands over.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { constants, homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Halves the time it takes to start. In the user's own folder, as what lies there is run.
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sluice');
const main = new URL('../cli/main.ts', import.meta.url);

if (!existsSync(new URL('../node_modules/commander/package.json', import.meta.url))) {
  stop('its packages are not installed: run "npm ci" in the folder of Sluice.');
} else if (runsTypeScript()) {
  module.enableCompileCache?.(cache);
  await import(main.href);
} else {
  const newer = newerNode();
  if (newer) handOver(newer);
  else
    stop(
      `Node ${process.versions.node} is too old: it needs 22.18 or later, or the one that "npm ci" installs beside it.`,
    );
}

/** Type stripping without a flag came with 22.18 and 23.6; before 24.3 it prints a warning, but it works. */
function runsTypeScript() {
  return Boolean(process.features.typescript);
}

function newerNode() {
  const names = process.platform === 'win32' ? ['node.exe'] : ['node'];
  const files = names.map((name) => fileURLToPath(new URL(`../node_modules/node/bin/${name}`, import.meta.url)));
  return files.find((file) => existsSync(file));
}

/** Runs the same call in another Node, as if it were this one: its terminal, its signals, its end. */
function handOver(node) {
  const child = spawn(node, [fileURLToPath(main), ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { NODE_COMPILE_CACHE: cache, ...process.env },
  });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => stop(`${node} cannot be started (${error.code}).`));
  child.on('exit', (code, signal) => {
    for (const each of signals) process.removeAllListeners(each);
    if (signal === null) process.exit(code ?? 1);
    process.exitCode = 128 + (constants.signals[signal] ?? 0);
    process.kill(process.pid, signal);
  });
}

function stop(reason) {
  process.stderr.write(`sluice: ${reason}\n`);
  process.exitCode = 2;
}
