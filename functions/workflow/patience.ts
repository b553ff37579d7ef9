import type { Deployment } from '../deployments/deployment.ts';
import type { EpochMs } from '../runtime/units.ts';

/** How a rollout is waited for, in seconds. */
export type Patience = {
  /** For so long after a look events wake nobody. */
  readonly quietSeconds: number;
  /** Then it is looked at again, whatever was told. */
  readonly waitSeconds: number;
};

const waitSeconds = 30;
/** Up to here every event counts: who waits for a quick rollout is told at once. */
const leastQuietSeconds = 10;

/**
 * How long to wait for news of a rollout; pure. An execution has 25,000 events of history, 13 of them for each look of
 * each target, and a rollout may drain for hours while its tasks come and go. So it is looked at less often the longer
 * it takes: after a fiftieth of that time, or with more than two targets a 120th for each of them. Thus even 40
 * targets that never rest stay below 20,000 events in a day.
 * https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
 */
export function patience(rollout: { readonly elapsedSeconds: number; readonly targets: number }): Patience {
  const quiet = Math.ceil(rollout.elapsedSeconds * Math.max(1 / 50, rollout.targets / 120));
  return quiet < leastQuietSeconds ? { quietSeconds: 0, waitSeconds } : { quietSeconds: quiet, waitSeconds: quiet };
}

/** The same for a deployment as it stands: what is undone is waited for at one target at a time. */
export function patienceWith({ timeline, targets, state }: Deployment, now: EpochMs): Patience {
  const began = timeline.find(({ kind }) => kind === 'rolling')?.at ?? now;
  return patience({
    elapsedSeconds: Math.max(0, now - began) / 1000,
    targets: state.status === 'rolling_back' ? 1 : targets.length,
  });
}

/** A failure in the bake time is seen within a second at first, later within a thirtieth of the time it has lasted; pure. */
export function bakeWaitSeconds(bake: { readonly elapsedSeconds: number; readonly leftSeconds: number }): number {
  const wait = Math.min(300, Math.ceil(bake.elapsedSeconds / 30), Math.ceil(bake.leftSeconds));
  return Math.max(1, wait);
}
