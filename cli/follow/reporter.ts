import type { DeploymentView, EventsView, LogView } from '../../functions/api/shapes.ts';

export type TimelineEvent = EventsView['items'][number];
export type BuildLine = LogView['lines'][number];

/** Tells a person or a program what happens to a deployment. */
export type Reporter = {
  /** The deployment as it stands now; called again whenever it was read. */
  readonly view: (view: DeploymentView) => void;
  readonly event: (event: TimelineEvent) => void;
  readonly buildLine: (buildId: string, line: BuildLine) => void;
  /** There is no answer from the server for now; we go on trying. */
  readonly lost: () => void;
  readonly found: () => void;
  /** Something beside the deployment itself. */
  readonly note: (text: string) => void;
  readonly end: (view: DeploymentView) => void;
  /** Leaves the terminal as it should be, however following ended. */
  readonly close: () => void;
};
