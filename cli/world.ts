import type { EpochMs } from '../functions/runtime/units.ts';

/** Everything a verb meets outside of itself; tests hand in one of their own. */
export type World = {
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The current folder, absolute. */
  readonly folder: string;
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly fetch: typeof fetch;
  readonly clock: () => EpochMs;
  /** Resolves after so many milliseconds; rejects as soon as the signal is aborted. */
  readonly pause: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
  /** Calls back at Ctrl-C, which then no longer ends the process; answers with what undoes it. */
  readonly onInterrupt: (listener: () => void) => () => void;
};

export type Input = {
  readonly isTerminal: boolean;
  /** All of it, as UTF-8. */
  readonly readAll: () => Promise<string>;
  /** Asks on the terminal without showing what is typed; undefined when the person gave up (Ctrl-C, Ctrl-D). */
  readonly askHidden: (question: string) => Promise<string | undefined>;
};

export type Output = {
  readonly isTerminal: boolean;
  readonly columns: () => number;
  readonly rows: () => number;
  readonly write: (text: string) => void;
  readonly onResize: (listener: () => void) => () => void;
};
