import type { Deployment } from '../deployments/deployment.ts';
import { isEnd } from '../deployments/state.ts';
import { timelineView } from '../deployments/view.ts';
import type { EventsView } from './shapes.ts';

/** What was told of a deployment after the entry `after`; done when it has ended and nothing will follow. */
export function eventsAfter(deployment: Deployment, after: number): EventsView {
  const items = deployment.timeline.filter(({ seq }) => seq > after).map(timelineView);
  return { items, next: String(items.at(-1)?.seq ?? after), done: isEnd(deployment.state) };
}
