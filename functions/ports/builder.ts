import type { BuildSpec } from '../builds/spec.ts';
import type { EpochMs } from '../runtime/units.ts';

/** The buildspec that a build runs: `buildspecs/<kind>.yml`. */
export type BuildKind = 'image' | 'bundle' | 'fetch' | 'registry' | 'import' | 'check';

export type BuildRequest = { readonly kind: BuildKind; readonly spec: BuildSpec };

export type PhaseTime = { readonly name: string; readonly seconds: number };

export type BuildObservation =
  | { readonly status: 'unknown' }
  | { readonly status: 'running'; readonly phase: string }
  | {
      /** `interrupted`: the build lost its machine, which is not the build's fault; it may be made again. */
      readonly status: 'succeeded' | 'failed' | 'timed_out' | 'stopped' | 'interrupted';
      /** One sentence for people; empty for `succeeded`. */
      readonly reason: string;
      readonly phases: readonly PhaseTime[];
      /** The buildspec's exported variables. `SLUICE_RESULT` is the JSON of a `BuildResult`. */
      readonly exported: Readonly<Record<string, string>>;
    };

export type LogLine = { readonly at: EpochMs; readonly phase: string; readonly text: string };
export type LogPage = {
  readonly lines: readonly LogLine[];
  /** Give it as `after` to read on. */
  readonly next: string;
  /** True when no line will follow those of this page. */
  readonly done: boolean;
};

/** Runs a buildspec in a place of its own that vanishes with the build. */
export interface Builder {
  /** Starts a build; one that was started before under the same `spec.buildId` is left alone. Throws `Problem('unsupported')` when this cloud cannot run that kind. */
  start(request: BuildRequest): Promise<void>;
  observe(buildId: string): Promise<BuildObservation>;
  /** Ends a running build with its whole process tree; resolves when nothing of it runs. Stopping an ended or unknown build is harmless. */
  stop(buildId: string): Promise<void>;
  /** Lines after a cursor, at most `limit` (default 1000). An unknown build has no lines and is done. */
  logs(buildId: string, query?: { after?: string; limit?: number }): Promise<LogPage>;
  /** Throws when builds cannot be started. */
  ready(): Promise<void>;
}
