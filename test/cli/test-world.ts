import { setTimeout as pause } from 'node:timers/promises';
import type { Output, World } from '../../cli/world.ts';

export type TestWorld = World & {
  /** What was printed so far. */
  readonly out: () => string;
  readonly err: () => string;
  /** Presses Ctrl-C. */
  readonly interrupt: () => void;
  /** Makes the terminal as wide as this. */
  readonly resize: (columns: number) => void;
  /** Every pause that was asked for, in milliseconds; they are cut short. */
  readonly pauses: readonly number[];
  /** Resolves when standard output holds the text. */
  readonly printed: (text: string) => Promise<void>;
};

export type TestWorldOptions = {
  readonly env?: Readonly<Record<string, string>>;
  readonly folder?: string;
  readonly terminal?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  readonly stdin?: string;
  /** What is typed when something is asked for; undefined means Ctrl-C. */
  readonly typed?: string | undefined;
  readonly now?: string;
};

/** The world of a verb in a test: a real network, and everything else under control. */
export function createTestWorld(options: TestWorldOptions = {}): TestWorld {
  const pauses: number[] = [];
  const interrupts = new Set<() => void>();
  const stdout = recorder(options);
  const stderr = recorder(options);
  return {
    version: '1.2.3',
    env: options.env ?? {},
    folder: options.folder ?? '/',
    stdin: {
      isTerminal: options.stdin === undefined,
      readAll: async () => options.stdin ?? '',
      askHidden: async (question) => {
        stderr.write(question);
        return options.typed;
      },
    },
    stdout,
    stderr,
    fetch,
    clock: () => Date.parse(options.now ?? '2026-11-20T10:00:30.000Z'),
    pause: async (milliseconds, signal) => {
      pauses.push(milliseconds);
      await pause(Math.min(milliseconds, 10), undefined, signal ? { signal } : {});
    },
    onInterrupt: (listener) => {
      interrupts.add(listener);
      return () => interrupts.delete(listener);
    },
    out: stdout.text,
    err: stderr.text,
    interrupt: () => interrupts.forEach((listener) => listener()),
    resize: stdout.resize,
    pauses,
    printed: stdout.holds,
  };
}

type Recorder = Output & {
  readonly text: () => string;
  readonly resize: (columns: number) => void;
  readonly holds: (text: string) => Promise<void>;
};

function recorder({ terminal = false, columns = 80, rows = 24 }: TestWorldOptions): Recorder {
  let written = '';
  let width = columns;
  const resizeListeners = new Set<() => void>();
  const waiting = new Set<() => void>();
  return {
    isTerminal: terminal,
    columns: () => width,
    rows: () => rows,
    write: (text) => {
      written += text;
      waiting.forEach((check) => check());
    },
    onResize: (listener) => {
      resizeListeners.add(listener);
      return () => resizeListeners.delete(listener);
    },
    text: () => written,
    resize: (next) => {
      width = next;
      resizeListeners.forEach((listener) => listener());
    },
    holds: async (text) => {
      await new Promise<void>((resolve) => {
        const check = () => {
          if (written.includes(text)) resolve();
        };
        waiting.add(check);
        check();
      });
    },
  };
}
