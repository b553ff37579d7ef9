import type { LogView } from '../../functions/api/shapes.ts';
import { longestWaitSeconds, path } from '../client.ts';
import { Refused } from '../failures.ts';
import type { Reporter } from './reporter.ts';
import type { Read } from './watch.ts';

/** Prints a build's lines while it runs. */
export type BuildLog = {
  /** From the first call on; later ones change nothing. */
  readonly start: (buildId: string) => void;
  /** Resolves when no line will follow, or was not told in `seconds`. */
  readonly settled: (seconds: number) => Promise<void>;
};

type Options = {
  readonly read: Read;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
  readonly pause: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
};

export function createBuildLog({ read, reporter, signal, pause }: Options): BuildLog {
  let running: Promise<void> | undefined;
  return {
    start: (buildId) => {
      running ??= tail(buildId, { read, reporter, signal });
    },
    settled: async (seconds) => {
      if (!running) return;
      const enough = new AbortController();
      const waited = pause(seconds * 1000, AbortSignal.any([signal, enough.signal])).catch(() => {});
      await Promise.race([running, waited]);
      enough.abort();
    },
  };
}

/** Never throws: the deployment can be followed without its build's log. */
async function tail(buildId: string, { read, reporter, signal }: Omit<Options, 'pause'>): Promise<void> {
  let after: string | undefined;
  try {
    for (;;) {
      const page: LogView = await read(path`/api/v1/build/${buildId}/logs`, { after, wait: longestWaitSeconds });
      for (const line of page.lines) reporter.buildLine(buildId, line);
      if (page.done) return;
      after = page.next;
    }
  } catch (error) {
    if (signal.aborted) return;
    const why = error instanceof Refused ? `: ${error.message}` : '';
    reporter.note(`The build's log cannot be read${why}.`);
  }
}
