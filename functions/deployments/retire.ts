import { getApp, removeApp } from '../apps/registry.ts';
import type { App } from '../apps/schema.ts';
import type { Ports } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import { cancelDeployment } from './cancel.ts';
import { deploymentLane, readLane } from './lane-store.ts';
import { forgetReleases } from './releases.ts';
import { targetRefs } from './target-refs.ts';

/**
 * Deletes an app. Refused with `Problem('conflict')` while something runs or is deployed, unless forced: then what is
 * deployed is cancelled, and what runs is drained and stopped. Deployments stay in the history.
 */
export async function retireApp(
  ports: Ports,
  input: { readonly app: string; readonly force: boolean; readonly actor: string },
): Promise<void> {
  const record = await getApp(ports.records, input.app);
  const refs = record.app.environments.flatMap((environment) => targetRefs(record.id, environment));
  const holders = await laneHolders(ports, record.id, record.app);
  if (!input.force) {
    const views = await Promise.all(refs.map((ref) => ports.fleet.view(ref)));
    const running = refs
      .filter((_, at) => (views[at]?.tasks.length ?? 0) > 0)
      .map((ref) => `${ref.environment}/${ref.target.name}`);
    if (running.length + holders.length > 0) throw inUse(record.id, running);
  }
  for (const id of holders) await cancelDeployment(ports, { id, actor: input.actor });
  await Promise.all(refs.map((ref) => ports.fleet.retire(ref)));
  for (const { name } of record.app.environments) await forgetReleases(ports.records, record.id, name);
  await removeApp(ports, record.id);
}

async function laneHolders(ports: Pick<Ports, 'records'>, id: string, app: App): Promise<readonly string[]> {
  const lanes = await Promise.all(
    app.environments.map(({ name }) => readLane(ports.records, deploymentLane(id, name))),
  );
  return lanes.flatMap((lane) => [...lane.queue, ...(lane.active ? [lane.active] : [])]).map(({ holder }) => holder);
}

function inUse(app: string, running: readonly string[]): Problem {
  const what = running.length > 0 ? `tasks run in ${running.join(', ')}` : 'it is being deployed';
  return new Problem('conflict', `The app ${app} is in use: ${what}. Scale to 0 first, or force it`);
}
