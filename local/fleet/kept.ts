import { messageOf } from '../../functions/runtime/errors.ts';
import type { Log } from '../../functions/runtime/log.ts';
import type { StateFiles } from './state-file.ts';
import type { TargetState } from './target-state.ts';

/** A target's state, in memory and on the disk. */
export type Kept = {
  get(): TargetState;
  /** Holds at once; the promise tells whether it could be written. A write that failed is tried again by itself. */
  set(next: TargetState): Promise<void>;
  /** Resolves when what holds is on the disk. */
  saved(): Promise<void>;
};

const retryMs = 1000;

export function kept(initial: TargetState, { files, log }: { files: StateFiles; log: Log }): Kept {
  let state = initial;
  let saved: Promise<void> = Promise.resolve();
  const saveAgain = async (error: unknown): Promise<void> => {
    log.error('the state of a target could not be written', { reason: messageOf(error) });
    await new Promise((resolve) => setTimeout(resolve, retryMs).unref());
    if (state.retired) return;
    try {
      await files.save(state);
    } catch (again) {
      await saveAgain(again);
    }
  };
  return {
    get: () => state,
    set: (next) => {
      state = next;
      const written = files.save(next);
      saved = written.catch(saveAgain);
      return written;
    },
    saved: () => saved,
  };
}
