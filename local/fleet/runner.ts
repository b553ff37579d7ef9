import type { Artifact } from '../../functions/artifacts/artifact.ts';
import type { Revision } from '../../functions/ports/fleet.ts';

export type TaskOrder = {
  readonly taskId: string;
  readonly app: string;
  readonly target: string;
  /** Counts the tasks of a target. */
  readonly number: number;
  readonly revision: Revision;
  /** Values of the revision's secrets, by environment variable. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Takes a line of output. */
  readonly write: (text: string) => Promise<void>;
};

/** How a task ended by itself: `exited with code 1`, `was killed by SIGSEGV`. */
export type Ending = {
  readonly reason: string;
  /** True when it ended only because its port was taken by somebody else meanwhile: try again on another. */
  readonly portTaken?: boolean;
};

export type RunningTask = {
  /** Where it listens on 127.0.0.1. */
  readonly port: number;
  /** Resolves when its main process has ended, told to or not. */
  readonly ended: Promise<Ending>;
  /** SIGTERM, so many seconds, SIGKILL; resolves when nothing of it runs and nothing is left of it. */
  stop(graceSeconds: number): Promise<void>;
};

/** A way to run tasks: as processes, or as containers. */
export type TaskRunner = {
  /** Why it cannot run the artifact right now; undefined when it can. */
  refuses(artifact: Artifact): Promise<string | undefined>;
  start(order: TaskOrder): Promise<RunningTask>;
  /** Ends what a fleet killed before has left behind. */
  sweep(): Promise<void>;
};
