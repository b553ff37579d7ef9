import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * Where a process is killed: at so many points from now on, before or after what it does there; or where the call fails
 * and the process lives on.
 */
export type KillPoint = { readonly at: number; readonly when: 'before' | 'after'; readonly fails?: boolean };

/**
 * Processes that can be killed at any of their writes: one that is dead is never answered again, and so does nothing
 * more. What is called outside of `live` is the test's own, and immortal.
 */
export function mortal() {
  const lives = new AsyncLocalStorage<number>();
  let current = 0;
  let left = Infinity;
  let when: KillPoint['when'] = 'before';
  let fails = false;
  let points = 0;
  let died = Promise.withResolvers<void>();

  const isDead = () => (lives.getStore() ?? current) < current;
  const die = () => {
    current += 1;
    left = Infinity;
    const { resolve } = died;
    died = Promise.withResolvers();
    resolve();
  };

  async function call(work: () => Promise<unknown>, isPoint: boolean): Promise<unknown> {
    if (isDead()) return await never;
    const counts = isPoint && lives.getStore() !== undefined;
    if (counts) {
      points += 1;
      left -= 1;
    }
    const isLast = counts && left === 0;
    if (isLast && fails) return await fail(work);
    if (isLast && when === 'before') {
      die();
      return await never;
    }
    try {
      return await work();
    } finally {
      if (isLast) die();
      if (isDead()) await never;
    }
  }

  async function fail(work: () => Promise<unknown>): Promise<never> {
    left = Infinity;
    if (when === 'after') await work();
    throw new Error('The store did not answer');
  }

  return {
    /** The same port, whose calls of these names are points at which its process may be killed. */
    wrap<T extends object>(port: T, names: readonly (keyof T & string)[]): T {
      return new Proxy(port, {
        get(target, name, receiver) {
          const value: unknown = Reflect.get(target, name, receiver);
          if (typeof value !== 'function') return value;
          return async (...args: unknown[]) =>
            await call(
              async () => await (value as (...all: unknown[]) => Promise<unknown>).apply(target, args),
              (names as readonly string[]).includes(String(name)),
            );
        },
      });
    },
    /** Does something as the process that lives now; resolves to undefined when it is killed meanwhile. */
    async live<T>(work: () => Promise<T>): Promise<T | undefined> {
      const death = died.promise.then(() => undefined);
      return await Promise.race([lives.run(current, work), death]);
    },
    killAt(point: KillPoint): void {
      left = point.at;
      when = point.when;
      fails = point.fails ?? false;
    },
    /** How many processes have died. */
    deaths: () => current,
    /** How many points were passed. */
    points: () => points,
    /** Whether the kill that was asked for is still to come. */
    isWaiting: () => left !== Infinity,
    spare: () => void (left = Infinity),
  };
}

const never = new Promise<never>(() => {});
