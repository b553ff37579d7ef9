import type { Deployment, DeploymentRequest, TimelineEntry, Trigger } from '../deployments/deployment.ts';
import { isEnd } from '../deployments/state.ts';
import { isoTime } from '../runtime/units.ts';
import type { DeploymentRow, DeploymentView, EventsView } from './shapes.ts';

/** A deployment as it stands in lists. */
export function deploymentRow(deployment: Deployment): DeploymentRow {
  const { state } = deployment;
  return {
    id: deployment.id,
    app: deployment.app,
    environment: deployment.environment,
    status: state.status,
    reason: 'reason' in state ? state.reason : '',
    createdAt: isoTime(deployment.createdAt),
    endedAt: isEnd(state) ? isoTime(state.endedAt) : null,
    trigger: triggerView(deployment.trigger),
    request: { ...deployment.request },
    commit: deployment.commit ?? null,
    build: deployment.buildId === undefined ? null : { id: deployment.buildId },
    artifact: artifactView(deployment),
  };
}

/** A deployment with its targets and its timeline. */
export function deploymentView(deployment: Deployment): DeploymentView {
  return {
    ...deploymentRow(deployment),
    targets: deployment.targets.map(({ name, wave, status, reason, counts }) => ({
      name,
      wave,
      status,
      reason,
      ...(counts ? { counts: { ...counts } } : {}),
    })),
    timeline: deployment.timeline.map(eventView),
  };
}

/** What was told of a deployment after the entry `after`; done when it has ended and nothing will follow. */
export function eventsAfter(deployment: Deployment, after: number): EventsView {
  const items = deployment.timeline.filter((entry) => entry.seq > after).map(eventView);
  const next = items.at(-1)?.seq ?? after;
  return { items, next: String(next), done: isEnd(deployment.state) };
}

function eventView({ seq, at, kind, text, target }: TimelineEntry): EventsView['items'][number] {
  return { seq, at: isoTime(at), kind, text, ...(target === undefined ? {} : { target }) };
}

function triggerView(trigger: Trigger): DeploymentRow['trigger'] {
  if (trigger.kind !== 'push') return { kind: trigger.kind, actor: trigger.actor };
  return { kind: 'push', actor: trigger.pusher, ref: trigger.ref, deliveryId: trigger.deliveryId };
}

function artifactView(deployment: Deployment): DeploymentRow['artifact'] {
  const digest = deployment.artifact;
  const kind = deployment.revision?.artifact.kind ?? kindToBe(deployment.request, deployment.settings.build?.kind);
  return digest === undefined || kind === undefined ? null : { digest, kind };
}

/** Before a revision says what kind of artifact it is: what the request is sure to end in. */
function kindToBe(request: DeploymentRequest, built: 'image' | 'bundle' | undefined): 'image' | 'bundle' | undefined {
  if (request.kind === 'image') return 'image';
  return request.kind === 'source' ? built : undefined;
}
