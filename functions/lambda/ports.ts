import { v7 } from 'uuid';
import { openRecords } from '../aws/open/records.ts';
import type { PlaceWithRecords } from '../aws/open/place.ts';
import type { ApiPorts, EventPorts, Policy, ReconcilePorts, WorkflowPorts } from '../ports/ports.ts';
import { jsonLog, type Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Environment } from './environment.ts';
import { lazily } from './lazily.ts';
import { cloudWatchMetrics, embeddedMetrics, type Tell } from './metrics.ts';

/** What every function has; a client is made when it is needed, and its code loaded then. */
export type Wired = {
  readonly place: PlaceWithRecords;
  readonly log: Log;
  readonly tell: Tell;
  readonly metrics: Metrics;
};

export function wire(environment: Environment): Wired {
  const log = jsonLog({ level: environment.logLevel });
  const tell = embeddedMetrics({
    prefix: environment.prefix,
    clock: Date.now,
    write: (line) => void process.stdout.write(`${line}\n`),
  });
  const place = { ...environment, clock: Date.now };
  return { place: { ...place, records: openRecords(place) }, log, tell, metrics: cloudWatchMetrics(tell) };
}

/** Where sources may be on AWS, and what may be fetched: nothing of this network. */
export const policy: Policy = {
  source: { allowFile: false, ownRemote: undefined },
  fetch: { allowPrivateHosts: false, maxBytes: 10 * 1024 ** 3 },
  targets: { needService: true },
};

type Base = Pick<ApiPorts, 'records' | 'clock' | 'log' | 'metrics'>;

function base({ place, log, metrics }: Wired): Base {
  return { records: place.records, clock: place.clock, log, metrics };
}

export function apiPorts(wired: Wired): ApiPorts {
  const { place } = wired;
  return {
    ...base(wired),
    newId: v7,
    policy,
    workflow: lazily<ApiPorts['workflow']>({ start: true, fail: true, resume: true, ready: true }, async () =>
      (await import('../aws/open/api-workflow.ts')).openApiWorkflow(place),
    ),
    objects: lazily<ApiPorts['objects']>({ ready: true }, async () =>
      (await import('../aws/open/objects-ready.ts')).openObjectsReady(place),
    ),
    secrets: lazily<ApiPorts['secrets']>({ write: true, list: true, remove: true, ready: true }, async () =>
      (await import('../aws/open/secret-writes.ts')).openSecretWrites(place),
    ),
    builder: lazily<ApiPorts['builder']>({ stop: true, logs: true, ready: true }, async () =>
      (await import('../aws/open/api-builder.ts')).openApiBuilder(place),
    ),
    fleet: lazily<ApiPorts['fleet']>({ view: true, scale: true, retire: true, logs: true, ready: true }, async () =>
      (await import('../aws/open/api-fleet.ts')).openApiFleet(place),
    ),
  };
}

export function workflowPorts(wired: Wired): WorkflowPorts {
  const { place } = wired;
  return {
    ...base(wired),
    newId: v7,
    policy,
    workflow: lazily<WorkflowPorts['workflow']>({ start: true, resume: true, fail: true }, async () =>
      (await import('../aws/open/step-workflow.ts')).openStepWorkflow(place),
    ),
    secrets: lazily<WorkflowPorts['secrets']>({ findVersion: true }, async () =>
      (await import('../aws/open/secret-versions.ts')).openSecretVersions(place),
    ),
    builder: lazily<WorkflowPorts['builder']>({ stop: true }, async () =>
      (await import('../aws/open/build-stops.ts')).openBuildStops(place),
    ),
    fleet: lazily<WorkflowPorts['fleet']>(
      { view: true, refuses: true, startRollout: true, observeRollout: true, revertRollout: true },
      async () => (await import('../aws/open/workflow-fleet.ts')).openWorkflowFleet(place),
    ),
  };
}

export function eventPorts(wired: Wired): EventPorts {
  return {
    ...base(wired),
    workflow: lazily<EventPorts['workflow']>({ start: true, isRunning: true, resume: true }, async () =>
      (await import('../aws/open/event-workflow.ts')).openEventWorkflow(wired.place),
    ),
  };
}

export function reconcilePorts(wired: Wired): ReconcilePorts {
  const { place } = wired;
  return {
    ...base(wired),
    workflow: lazily<ReconcilePorts['workflow']>(
      { start: true, isRunning: true, stop: true, resume: true, fail: true },
      async () => (await import('../aws/open/whole-workflow.ts')).openWholeWorkflow(place),
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
