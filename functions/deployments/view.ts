import { isoTime } from '../runtime/units.ts';
import type { Deployment, TimelineEntry, Trigger } from './deployment.ts';
import { isEnd } from './state.ts';

/** A deployment as the API shows it, whole. */
export function deploymentView(deployment: Deployment) {
  return {
    ...deploymentRow(deployment),
    targets: deployment.targets.map(({ name, wave, status, reason, counts }) => ({
      name,
      wave,
      status,
      reason,
      ...(counts ? { counts } : {}),
    })),
    timeline: deployment.timeline.map(timelineView),
  };
}

/** The same for lists: without its targets and timeline. */
export function deploymentRow(deployment: Deployment) {
  const { id, app, environment, state, artifact, revision } = deployment;
  return {
    id,
    app,
    environment,
    status: state.status,
    reason: 'reason' in state ? state.reason : '',
    createdAt: isoTime(deployment.createdAt),
    endedAt: isEnd(state) ? isoTime(state.endedAt) : null,
    trigger: triggerView(deployment.trigger),
    request: deployment.request,
    commit: deployment.commit ?? null,
    build: deployment.buildId ? { id: deployment.buildId } : null,
    artifact: artifact
      ? { digest: artifact, kind: revision?.artifact.kind ?? deployment.settings.build?.kind ?? 'image' }
      : null,
  };
}

export function timelineView({ seq, at, kind, text, target }: TimelineEntry) {
  return { seq, at: isoTime(at), kind, text, ...(target ? { target } : {}) };
}

function triggerView(trigger: Trigger) {
  return trigger.kind === 'push'
    ? { kind: trigger.kind, actor: trigger.pusher, ref: trigger.ref, deliveryId: trigger.deliveryId }
    : { kind: trigger.kind, actor: trigger.actor };
}
