import type { DeploymentEnded } from '../runtime/metrics.ts';
import type { Deployment } from './deployment.ts';
import { statuses } from './state.ts';

/** What is counted of a deployment that has ended: how long it took, and how long it was in each state; pure. */
export function measureDeployment({ state, trigger, timeline, createdAt, targets }: Deployment): DeploymentEnded {
  const moves = timeline.filter(({ kind }) => (statuses as readonly string[]).includes(kind));
  const last = moves.at(-1);
  return {
    status: state.status,
    trigger: trigger.kind,
    seconds: ((last?.at ?? createdAt) - createdAt) / 1000,
    phases: moves.slice(0, -1).map(({ kind, at }, index) => ({
      name: kind,
      seconds: ((moves[index + 1]?.at ?? at) - at) / 1000,
    })),
    rollouts: targets.map(({ status }) => status).filter((status) => status !== 'waiting'),
  };
}
