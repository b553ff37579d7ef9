import { getApp } from '../apps/registry.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import { environmentOf } from './request.ts';
import { targetRefs } from './target-refs.ts';

export type ScaleInput = {
  readonly app: string;
  readonly environment: string;
  readonly target: string;
  readonly desiredCount: number;
  readonly actor: string;
};

/** Sets how many tasks a target keeps. Throws `Problem('not-found')` for an unknown target. */
export async function scaleTarget(
  ports: Pick<ApiPorts, 'records' | 'fleet' | 'log'>,
  input: ScaleInput,
): Promise<void> {
  const record = await getApp(ports.records, input.app);
  const environment = environmentOf(record, input.environment);
  const ref = targetRefs(record.id, environment).find(({ target }) => target.name === input.target);
  if (!ref) {
    const names = environment.targets.map(({ name }) => name).join(', ');
    throw new Problem(
      'not-found',
      `The environment ${environment.name} has no target ${input.target}; it has: ${names}`,
    );
  }
  await ports.fleet.scale(ref, input.desiredCount);
  ports.log.info('target scaled', { ...input });
}
