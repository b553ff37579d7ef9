import { getApp } from '../apps/registry.ts';
import type { TargetRef, TargetView } from '../ports/fleet.ts';
import type { ApiPorts } from '../ports/ports.ts';
import type { Records } from '../ports/records.ts';
import { isoTime } from '../runtime/units.ts';
import type { Deployment } from './deployment.ts';
import { deploymentLane, readLane } from './lane-store.ts';
import { listReleases } from './releases.ts';
import { environmentOf } from './request.ts';
import type { Status } from './state.ts';
import { allDeployments, findDeployment, lanePartition } from './store.ts';
import { targetRefs } from './target-refs.ts';
import { deploymentRow } from './view.ts';

export { getDeployment } from './store.ts';

export type DeploymentQuery = {
  readonly app?: string;
  readonly environment?: string;
  readonly status?: Status;
  /** 1..200, default 50. */
  readonly limit?: number;
  readonly cursor?: string;
};

/** Reads at most this many records a call when a filter passes few of them; the cursor goes on from there. */
const maxRead = 1000;

/** Deployments, newest first, of those that may be shown; a page may be short, and is the last when `next` is null. */
export async function listDeployments(
  records: Records,
  query: DeploymentQuery,
  isVisible: (deployment: Deployment) => boolean = () => true,
): Promise<{ items: readonly Deployment[]; next: string | null }> {
  const limit = query.limit ?? 50;
  const items: Deployment[] = [];
  let after = query.cursor;
  let read = 0;
  do {
    const page = await records.list<Deployment>({
      ...placeOf(query),
      order: 'descending',
      limit: limit - items.length,
      ...(after ? { after } : {}),
    });
    items.push(
      ...page.items.map(({ value }) => value).filter((deployment) => fits(deployment, query) && isVisible(deployment)),
    );
    read += page.items.length;
    after = page.next;
  } while (after && items.length < limit && read < maxRead);
  return { items, next: after ?? null };
}

/** What runs in an environment now, and its lane, as the API shows it. */
export async function getEnvironment(
  ports: Pick<ApiPorts, 'records' | 'fleet'>,
  place: { readonly app: string; readonly environment: string },
) {
  const environment = environmentOf(await getApp(ports.records, place.app), place.environment);
  const [lane, releases, targets] = await Promise.all([
    readLane(ports.records, deploymentLane(place.app, place.environment)),
    listReleases(ports.records, place.app, place.environment),
    Promise.all(targetRefs(place.app, environment).map(async (ref) => targetView(ref, await ports.fleet.view(ref)))),
  ]);
  const current = releases[0] && (await findDeployment(ports.records, releases[0].deploymentId));
  return {
    app: place.app,
    environment: environment.name,
    current: current ? deploymentRow(current) : null,
    targets,
    lane: { active: lane.active?.holder ?? null, queued: lane.queue.map(({ holder }) => holder) },
  };
}

function placeOf({ app, environment }: DeploymentQuery) {
  return app && environment
    ? ({ partition: lanePartition(app, environment), index: 'lookup' } as const)
    : ({ partition: allDeployments, index: 'list' } as const);
}

function fits(deployment: Deployment, { app, environment, status }: DeploymentQuery): boolean {
  return (
    (!app || deployment.app === app) &&
    (!environment || deployment.environment === environment) &&
    (!status || deployment.state.status === status)
  );
}

function targetView({ target }: TargetRef, view: TargetView) {
  const { revision, lastFailure } = view;
  const origin = revision?.artifact.origin;
  return {
    name: target.name,
    revision: revision
      ? {
          id: revision.id,
          deploymentId: revision.deploymentId,
          artifact: revision.artifact.digest,
          commit: origin?.kind === 'build' ? origin.commit : null,
        }
      : null,
    desiredCount: view.desiredCount,
    runningCount: view.tasks.filter(({ state }) => state === 'serving').length,
    listenPort: target.listenPort ?? null,
    tasks: view.tasks.map((task) => ({
      ...task,
      startedAt: isoTime(task.startedAt),
      inFlight: task.inFlight ?? null,
    })),
    lastFailure: lastFailure ? { at: isoTime(lastFailure.at), reason: lastFailure.reason } : null,
  };
}
