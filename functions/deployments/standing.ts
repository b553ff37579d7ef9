import { listApps, type AppRecord } from '../apps/registry.ts';
import type { TargetRef } from '../ports/fleet.ts';
import type { Ports } from '../ports/ports.ts';
import type { Standing, TaskCount } from '../runtime/metrics.ts';
import type { Deployment } from './deployment.ts';
import { openDeployments } from './store.ts';
import { targetRefs } from './target-refs.ts';

const taskStates = ['starting', 'serving', 'draining', 'stopping', 'failed'] as const;

/** What stands right now, for the metrics: deployments that have not ended, and every target's tasks by state. */
export async function standing(ports: Pick<Ports, 'records' | 'fleet'>): Promise<Standing> {
  const [deployments, tasks] = await Promise.all([countDeployments(ports), countTasks(ports)]);
  return { deployments, tasks };
}

async function countDeployments(ports: Pick<Ports, 'records'>): Promise<Standing['deployments']> {
  const counts = new Map<string, number>();
  let after: string | undefined;
  do {
    const page = await ports.records.list<Deployment>({
      partition: openDeployments,
      index: 'open',
      limit: 1000,
      ...(after ? { after } : {}),
    });
    for (const { value } of page.items) counts.set(value.state.status, (counts.get(value.state.status) ?? 0) + 1);
    after = page.next;
  } while (after);
  return [...counts].map(([status, count]) => ({ status, count }));
}

async function countTasks(ports: Pick<Ports, 'records' | 'fleet'>): Promise<readonly TaskCount[]> {
  const refs = (await allApps(ports)).flatMap(({ id, app }) =>
    app.environments.flatMap((environment) => targetRefs(id, environment)),
  );
  const counted = await Promise.all(refs.map(async (ref) => countTarget(ref, await ports.fleet.view(ref))));
  return counted.flat();
}

function countTarget(
  { app, environment, target }: TargetRef,
  view: { tasks: readonly { state: string }[] },
): TaskCount[] {
  return taskStates.map((state) => ({
    app,
    environment,
    target: target.name,
    state,
    count: view.tasks.filter((task) => task.state === state).length,
  }));
}

async function allApps(ports: Pick<Ports, 'records'>): Promise<readonly AppRecord[]> {
  const found: AppRecord[] = [];
  let cursor: string | undefined;
  do {
    const page = await listApps(ports.records, { limit: 1000, ...(cursor ? { cursor } : {}) });
    found.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor);
  return found;
}
