import { join } from 'node:path';

/** Where a build keeps what it needs while it runs. All of it vanishes with the build. */
export type WorkFolder = {
  readonly root: string;
  /** The checked out source. */
  readonly source: string;
  /** The credential's folder: exists while Git speaks with the server, and no longer. */
  readonly credential: string;
  /** HOME and TMPDIR of the app's build command. */
  readonly home: string;
  readonly temporary: string;
  /** What is checked, as whoever runs it would have it on disk. */
  readonly artifact: string;
  /** A finished bundle, or what was downloaded. */
  readonly archive: string;
  /** What one step tells the next. */
  readonly state: string;
  /** The `BuildResult`, one line of JSON. */
  readonly result: string;
  /** Why the build failed, one sentence. */
  readonly reason: string;
};

export function workFolder(root: string): WorkFolder {
  return {
    root,
    source: join(root, 'source'),
    credential: join(root, 'credential'),
    home: join(root, 'home'),
    temporary: join(root, 'tmp'),
    artifact: join(root, 'artifact'),
    archive: join(root, 'archive'),
    state: join(root, 'state.json'),
    result: join(root, 'result.json'),
    reason: join(root, 'reason'),
  };
}
