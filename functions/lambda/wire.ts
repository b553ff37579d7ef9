import { openRecords } from '../aws/open/records.ts';
import type { PlaceWithRecords } from '../aws/open/place.ts';
import { defaultLimits, defaultOidc } from '../ports/limits.ts';
import type { ApiPorts, Policy } from '../ports/ports.ts';
import { jsonLog, type Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { writeLines } from '../runtime/write-lines.ts';
import type { Environment } from './environment.ts';
import { cloudWatchMetrics, embeddedMetrics, type Tell } from './metrics.ts';

/** What every function has; a client is made when it is needed, and its code loaded then. */
export type Wired = {
  readonly place: PlaceWithRecords;
  readonly log: Log;
  readonly tell: Tell;
  readonly metrics: Metrics;
  readonly policy: Policy;
};

export function wire(environment: Environment): Wired {
  const log = jsonLog({ level: environment.logLevel });
  const tell = embeddedMetrics({
    prefix: environment.prefix,
    clock: Date.now,
    write: writeLines(1),
  });
  const { limits, oidc } = environment;
  const place = { ...environment, clock: Date.now };
  return {
    place: { ...place, records: openRecords(place) },
    log,
    tell,
    metrics: cloudWatchMetrics(tell),
    policy: { ...policy, limits, oidc },
  };
}

/** Where sources may be on AWS, and what may be fetched: nothing of this network. An installation sets its own limits. */
export const policy: Policy = {
  source: { allowFile: false, ownRemote: undefined },
  fetch: { allowPrivateHosts: false, maxBytes: 10 * 1024 ** 3 },
  targets: { needService: true },
  // A spec is an environment variable of CodeBuild's, which takes 5,500 characters for all of them together, and has
  // refused more than 4,096 for one: https://github.com/wolfeidau/buildkite-serverless-agent/issues/35
  builds: { mostSpecBytes: 4096 },
  limits: defaultLimits,
  oidc: defaultOidc,
};

export type Base = Pick<ApiPorts, 'records' | 'clock' | 'log' | 'metrics'>;

/** The ports that are the same in every function. */
export function basePorts({ place, log, metrics }: Wired): Base {
  return { records: place.records, clock: place.clock, log, metrics };
}
