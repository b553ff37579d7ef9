import { Interrupted } from '../failures.ts';
import type { World } from '../world.ts';

/** Runs something that Ctrl-C stops; the sentence says what goes on without us, or how to go on. */
export async function untilInterrupted<T>(
  world: World,
  sentence: string,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const letGo = world.onInterrupt(() => stop.abort());
  try {
    return await run(stop.signal);
  } catch (error) {
    throw stop.signal.aborted ? new Interrupted(sentence) : error;
  } finally {
    letGo();
    // Of several polls one may have failed; the others must not keep us here.
    stop.abort();
  }
}
