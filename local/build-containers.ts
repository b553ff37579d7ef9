import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { markLabel } from '../buildspecs/agent/engine-commands.ts';
import type { LocalBuilderOptions } from './builder.ts';
import type { Engine } from './engine.ts';

/** So long the engine may take over an answer: a build's end waits for it. */
const answerWithinMs = 30_000;

export type BuildEngine = Pick<LocalBuilderOptions, 'environment'> & { readonly engine: Engine };

/**
 * Removes the containers that builds left behind, by their marks: the client is ended with the build, but they are the
 * engine's. Harmless when there are none. Throws when the engine does not answer.
 */
export async function removeBuildContainers(place: BuildEngine, isOurs: (mark: string) => boolean): Promise<void> {
  const format = `{{.ID}} {{.Label "${markLabel}"}}`;
  const listed = await ask(place, ['ps', '--all', '--filter', `label=${markLabel}`, '--format', format]);
  const rows = listed.split('\n').map((line) => line.split(' '));
  const ids = rows.flatMap(([id, mark]) => (id && mark && isOurs(mark) ? [id] : []));
  if (ids.length > 0) await ask(place, ['rm', '--force', '--volumes', ...ids]);
}

async function ask({ engine, environment }: BuildEngine, args: readonly string[]): Promise<string> {
  const options = { env: { ...environment }, timeout: answerWithinMs, killSignal: 'SIGKILL' } as const;
  return (await promisify(execFile)(engine.bin, [...args], options)).stdout;
}
