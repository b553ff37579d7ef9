import { parseApp } from '../apps/parse.ts';
import { applyApp, findApp, getApp, removeApp, type AppRecord } from '../apps/registry.ts';
import type { App } from '../apps/schema.ts';
import type { TargetRef } from '../ports/fleet.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import { cancelOpen } from './cancel.ts';
import { deploymentLane, forgetLanePast, readLane } from './lane-store.ts';
import { forgetReleases } from './releases.ts';
import { targetRefs } from './target-refs.ts';

/**
 * Deletes an app. Refused with `Problem('conflict')` while something runs or is deployed, unless forced: then what is
 * deployed is cancelled, and what runs is drained and stopped. Deployments stay in the history.
 */
export async function retireApp(
  ports: ApiPorts,
  input: { readonly app: string; readonly force: boolean; readonly actor: string },
): Promise<void> {
  const record = await getApp(ports.records, input.app);
  const environments = record.app.environments.map(({ name }) => name);
  const refs = refsOf(record.id, record.app);
  await vacate(ports, { ...input, refs, environments });
  await removeApp(ports, record.id);
  // Who came in while it drained did so by an app that was there; from now on nobody does.
  await cancelOpen(ports, { ids: await laneHolders(ports, record.id, environments), actor: input.actor });
}

/**
 * Registers an app or changes it. A target or environment that it no longer names must not run on without a name:
 * that is refused with `Problem('conflict')` while something runs there, unless forced, as for `retireApp`.
 */
export async function changeApp(
  ports: ApiPorts,
  input: { readonly id: string; readonly input: unknown; readonly force: boolean; readonly actor: string },
): Promise<{ record: AppRecord; created: boolean }> {
  const before = await findApp(ports.records, input.id);
  if (before) {
    const after = parseApp(input.input, ports.policy.source);
    const kept = new Set(refsOf(input.id, after).map(placeOf));
    const refs = refsOf(input.id, before.app).filter((ref) => !kept.has(placeOf(ref)));
    const names = new Set(after.environments.map(({ name }) => name));
    const environments = before.app.environments.map(({ name }) => name).filter((name) => !names.has(name));
    await vacate(ports, { app: input.id, force: input.force, actor: input.actor, refs, environments });
  }
  return await applyApp(ports, input);
}

type Vacating = {
  readonly app: string;
  readonly force: boolean;
  readonly actor: string;
  readonly refs: readonly TargetRef[];
  /** Environments that go whole, with their lanes and what they have run. */
  readonly environments: readonly string[];
};

async function vacate(ports: ApiPorts, { app, force, actor, refs, environments }: Vacating): Promise<void> {
  const affected = new Set([...environments, ...refs.map(({ environment }) => environment)]);
  const holders = await laneHolders(ports, app, [...affected]);
  if (!force) {
    const views = await Promise.all(refs.map((ref) => ports.fleet.view(ref)));
    const running = refs.filter((_, at) => (views[at]?.tasks.length ?? 0) > 0).map(placeOf);
    if (running.length + holders.length > 0) throw inUse(app, running);
  }
  await cancelOpen(ports, { ids: holders, actor });
  await Promise.all(refs.map((ref) => ports.fleet.retire(ref)));
  for (const name of environments) {
    await forgetReleases(ports.records, app, name);
    await forgetLanePast(ports.records, deploymentLane(app, name));
  }
}

function refsOf(id: string, app: App): readonly TargetRef[] {
  return app.environments.flatMap((environment) => targetRefs(id, environment));
}

function placeOf({ environment, target }: TargetRef): string {
  return `${environment}/${target.name}`;
}

async function laneHolders(
  ports: Pick<ApiPorts, 'records'>,
  app: string,
  environments: readonly string[],
): Promise<readonly string[]> {
  const lanes = await Promise.all(environments.map((name) => readLane(ports.records, deploymentLane(app, name))));
  return lanes.flatMap((lane) => [...lane.queue, ...(lane.active ? [lane.active] : [])]).map(({ holder }) => holder);
}

function inUse(app: string, running: readonly string[]): Problem {
  const what = running.length > 0 ? `tasks run in ${running.join(', ')}` : 'it is being deployed';
  return new Problem('conflict', `The app ${app} is in use: ${what}. Scale to 0 first, or force it`);
}
