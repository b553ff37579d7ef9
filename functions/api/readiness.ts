import { messageOf } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import { TimeLimitPassed, withinTime } from '../runtime/time-limit.ts';
import type { ReadyView } from './shapes.ts';

/** The six ports, by name. */
export const dependencies = ['records', 'objects', 'secrets', 'builder', 'fleet', 'workflow'] as const;
export type Dependency = (typeof dependencies)[number];

export type Dependencies = Readonly<Record<Dependency, { ready(): Promise<void> }>>;
type Outcome = ReadyView['checks'][Dependency];

/**
 * Asks every dependency, each for at most `timeoutMs`. Why one fails goes to the log and not to the answer.
 * One that hangs is asked once: later calls wait for the same question, so probes do not pile up behind it.
 */
export function readinessOf(ports: Dependencies, options: { log: Log; timeoutMs?: number }): () => Promise<ReadyView> {
  const asked = new Map<Dependency, Promise<Outcome>>();
  const ask = (name: Dependency): Promise<Outcome> => {
    const running = asked.get(name);
    if (running) return running;
    const question = outcome(name, ports[name], options.log).finally(() => asked.delete(name));
    asked.set(name, question);
    return question;
  };
  return async () => {
    const results = await Promise.all(
      dependencies.map(async (name) => [name, await inTime(ask(name), options.timeoutMs ?? 2000)] as const),
    );
    const ready = results.every(([, result]) => result === 'ok');
    return { status: ready ? 'ok' : 'failing', checks: Object.fromEntries(results) as ReadyView['checks'] };
  };
}

async function outcome(name: Dependency, dependency: Dependencies[Dependency], log: Log): Promise<Outcome> {
  try {
    await dependency.ready();
    return 'ok';
  } catch (error) {
    log.warn('a dependency is not ready', { dependency: name, reason: messageOf(error) });
    return 'failed';
  }
}

async function inTime(outcome: Promise<Outcome>, timeoutMs: number): Promise<Outcome> {
  try {
    return await withinTime(timeoutMs, outcome);
  } catch (error) {
    if (error instanceof TimeLimitPassed) return 'timed out';
    throw error;
  }
}
