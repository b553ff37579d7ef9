import { setTimeout as pause } from 'node:timers/promises';
import packageJson from '../package.json' with { type: 'json' };
import { runCli } from './program.ts';
import type { World } from './world.ts';
import { inputOf, onInterrupt, outputOf } from './terminal.ts';

const world: World = {
  version: packageJson.version,
  env: process.env,
  folder: process.cwd(),
  stdin: inputOf(process.stdin, process.stderr),
  stdout: outputOf(process.stdout),
  stderr: outputOf(process.stderr),
  fetch,
  clock: Date.now,
  pause: async (milliseconds, signal) => await pause(milliseconds, undefined, signal ? { signal } : {}),
  onInterrupt,
};

process.exitCode = await runCli(process.argv.slice(2), world);
