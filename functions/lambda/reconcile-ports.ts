import type { ReconcilePorts } from '../ports/ports.ts';
import { lazily } from './lazily.ts';
import { basePorts, type Wired } from './wire.ts';

export function reconcilePorts(wired: Wired): ReconcilePorts {
  const { place } = wired;
  return {
    ...basePorts(wired),
    workflow: lazily<ReconcilePorts['workflow']>(
      { start: true, isRunning: true, stop: true, resume: true, fail: true },
      async () => (await import('../aws/open/whole-workflow.ts')).openWholeWorkflow(place),
    ),
    jobs: lazily<ReconcilePorts['jobs']>({ start: true, isRunning: true }, async () =>
      (await import('../aws/open/job-starts.ts')).openJobStarts(place),
    ),
    secrets: lazily<ReconcilePorts['secrets']>({ list: true, remove: true }, async () =>
      (await import('../aws/open/secret-removals.ts')).openSecretRemovals(place),
    ),
    builder: lazily<ReconcilePorts['builder']>({ stop: true }, async () =>
      (await import('../aws/open/build-stops.ts')).openBuildStops(place),
    ),
    fleet: lazily<ReconcilePorts['fleet']>({ view: true, retire: true }, async () =>
      (await import('../aws/open/retiring-fleet.ts')).openRetiringFleet(place),
    ),
  };
}
