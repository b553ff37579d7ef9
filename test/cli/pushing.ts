import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { runCli } from '../../cli/program.ts';
import { BuildsService } from './builds-service.ts';
import { noise, writeFolder, type Files } from './packages.ts';
import { createTestWorld, type TestWorldOptions } from './test-world.ts';

export type PushDocument = {
  readonly build: number;
  readonly kind: string;
  readonly refs: readonly { readonly ref: string; readonly commit: string }[];
  readonly objects: { readonly total: number; readonly sent: number; readonly skipped: number };
  readonly bytes: { readonly total: number; readonly sent: number };
};

/** A builds service and a folder for each test of a file, and how to push from the one to the other. */
export function pushing({ prefix = '' } = {}) {
  const its = { service: new BuildsService(), folder: '' };
  beforeEach(async () => {
    its.service = await new BuildsService({ prefix }).start();
    its.folder = await mkdtemp(join(tmpdir(), 'sluice-cli-'));
  });
  afterEach(async () => {
    await its.service.close();
    await rm(its.folder, { recursive: true, force: true });
  });
  const worldFor = (options: TestWorldOptions) => {
    const env = { SLUICE_URL: its.service.url, SLUICE_TOKEN: 'secret-token', ...options.env };
    return createTestWorld({ folder: its.folder, stdin: '', ...options, env });
  };
  const start = (call: readonly string[], options: TestWorldOptions = {}) => {
    const world = worldFor(options);
    const end = runCli(call, world).then((code) => ({ code, out: world.out(), err: world.err(), world }));
    return { world, end };
  };
  const sluice = async (call: readonly string[], options: TestWorldOptions = {}) => await start(call, options).end;
  return {
    service: () => its.service,
    inFolder: (name: string) => join(its.folder, name),
    /** Begins a call; its world can be looked at, and interrupted, meanwhile. */
    start,
    sluice,
    push: async (...call: readonly string[]) => await sluice(['push', '7', ...call]),
    /** Pushes, and answers with the last document. */
    pushed: async (...call: readonly string[]): Promise<PushDocument> => {
      const { code, out, err } = await sluice(['push', '7', ...call, '--json']);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      return JSON.parse(out.trim().split('\n').at(-1) ?? '') as PushDocument;
    },
    /** Writes files into a folder of their own; answers with its path. */
    write: async (files: Files, name = 'image') => await writeFolder(join(its.folder, name), files),
  };
}

/** Two above and one below what is sent in parts. */
export const layers = [noise('base', 3_000_000), noise('app', 1_500_001), noise('small', 4000)] as const;
