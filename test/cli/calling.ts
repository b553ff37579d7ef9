import { afterEach, beforeEach } from 'vitest';
import { runCli } from '../../cli/program.ts';
import { refusal } from './builds-service.ts';
import { ScriptedServer } from './scripted-server.ts';
import { createTestWorld, type TestWorldOptions } from './test-world.ts';

/** A server whose answers each test of a file writes down, and calls of the command line against it. */
export function calling() {
  let server = new ScriptedServer();
  beforeEach(async () => void (server = await new ScriptedServer().start()));
  afterEach(async () => await server.close());
  const worldFor = (options: TestWorldOptions = {}) => {
    const env = { SLUICE_URL: server.url, SLUICE_TOKEN: 't', ...options.env };
    return createTestWorld({ stdin: '', ...options, env });
  };
  return {
    server: () => server,
    worldFor,
    /** Runs a call, its words separated by blanks. */
    sluice: async (call: string, options: TestWorldOptions = {}) => {
      const world = worldFor(options);
      const code = await runCli(call.split(' '), world);
      return { code, out: world.out(), err: world.err() };
    },
  };
}

/** The documents that a call has printed, one a line. */
export function documents(out: string): readonly Record<string, unknown>[] {
  const lines = out.trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** How the builds service refuses what a build's state does not allow. */
export const wrongState = (current: string, type = 'wrong-repo-state') => ({
  status: 400,
  body: refusal(400, type, { 'current-state': current, 'expected-state': 'uploading' }),
});
