import type { Deployment } from '../deployments/deployment.ts';
import { isEnd, statuses, type Status } from '../deployments/state.ts';
import type { DeploymentEnded } from '../runtime/metrics.ts';

/** What the metrics say of a deployment that has ended; undefined while it has not. */
export function endedDeployment(deployment: Deployment): DeploymentEnded | undefined {
  const { state } = deployment;
  if (!isEnd(state)) return undefined;
  return {
    status: state.status,
    trigger: deployment.trigger.kind,
    seconds: seconds(deployment.createdAt, state.endedAt),
    phases: phasesOf(deployment, state.endedAt),
    rollouts: deployment.targets.map(({ status }) => status).filter((status) => status !== 'waiting'),
  };
}

/** How long it was in each state: from the entry that tells of it to the next such entry. */
function phasesOf(deployment: Deployment, endedAt: number): DeploymentEnded['phases'] {
  const changes = deployment.timeline.filter(({ kind }) => isStatus(kind));
  const starts = [{ kind: 'queued', at: deployment.createdAt }, ...changes.filter(({ kind }) => kind !== 'queued')];
  return starts.slice(0, -1).map(({ kind, at }, index) => ({
    name: kind,
    seconds: seconds(at, starts[index + 1]?.at ?? endedAt),
  }));
}

function isStatus(kind: string): kind is Status {
  return (statuses as readonly string[]).includes(kind);
}

/** A clock may be set back meanwhile. */
function seconds(from: number, to: number): number {
  return Math.max(0, (to - from) / 1000);
}
