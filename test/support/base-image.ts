import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { findEngine, type Engine } from '../../local/engine.ts';

const name = 'sluice-base:test';
const script = fileURLToPath(new URL('../../scripts/base-image.sh', import.meta.url));

/**
 * A container engine and an image with Node in it to build on, made of this machine's own programs, as nothing can be
 * pulled everywhere; or why there is none.
 */
export async function findBaseImage(): Promise<{ engine: Engine; base: string } | { missing: string }> {
  const engine = await findEngine('auto', process.env);
  if (!engine) return { missing: 'no container engine answers' };
  const has = async () => (await execa(engine.bin, ['image', 'inspect', name], { reject: false })).exitCode === 0;
  if (!(await has())) await execa('sh', [script, name], { env: { ENGINE: engine.bin }, reject: false });
  return (await has()) ? { engine, base: name } : { missing: 'no base image could be made' };
}
