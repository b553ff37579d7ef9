import { parseApp } from '../apps/parse.ts';
import { forgetPointer } from '../artifacts/pointer.ts';
import { applyApp, findApp, getApp, removeApp, type AppRecord } from '../apps/registry.ts';
import type { App } from '../apps/schema.ts';
import type { TargetRef } from '../ports/fleet.ts';
import type { ApiPorts } from '../ports/ports.ts';
import type { RecordKey } from '../ports/records.ts';
import { messageOf, Problem } from '../runtime/errors.ts';
import type { EpochMs } from '../runtime/units.ts';
import { cancelOpen, type CancelPorts } from './cancel.ts';
import { deploymentLane, forgetLanePast, readLane } from './lane-store.ts';
import { forgetReleases } from './releases.ts';
import { targetRefs } from './target-refs.ts';

type RetiringPorts = CancelPorts & {
  readonly secrets: Pick<ApiPorts['secrets'], 'list' | 'remove'>;
  readonly fleet: Pick<ApiPorts['fleet'], 'view' | 'retire'>;
};

/** An app that is to go; kept until it has gone, so that whoever loses it on the way is replaced. */
type Retirement = { readonly app: string; readonly actor: string; readonly at: EpochMs };

const retirements = 'apps/retiring';
const retirementKey = (app: string): RecordKey => ({ partition: `retirement/${app}`, sort: 'retirement' });

/**
 * Deletes an app. Refused with `Problem('conflict')` while something runs or is deployed, unless forced: then what is
 * deployed is cancelled, and what runs is drained and stopped. Deployments stay in the history. Once it is not refused,
 * it goes to its end by itself, whatever becomes of the caller; `going` where its tasks take longer than one call may.
 */
export async function retireApp(
  ports: RetiringPorts,
  input: { readonly app: string; readonly force: boolean; readonly actor: string },
): Promise<'gone' | 'going'> {
  const record = await getApp(ports.records, input.app);
  if (!input.force) await refuseInUse(ports, partsOf(record));
  const retirement = { app: record.id, actor: input.actor, at: ports.clock() };
  const key = retirementKey(record.id);
  const indexes = { open: { partition: retirements, sort: record.id } };
  const stored = await ports.records.find<Retirement>(key);
  // One that is there may be of an app of that name before this one, and then says nothing about this one.
  if (stored && stored.value.at < record.createdAt) await ports.records.replace(stored, retirement, { indexes });
  else if (!stored) await ports.records.create(key, retirement, { indexes });
  try {
    await finishRetirement(ports, retirement);
    return 'gone';
  } catch (error) {
    if (error instanceof Problem && error.kind === 'busy') return 'going';
    throw error;
  }
}

/** Goes on with every app that was to go and is still there; harmless for one whose caller is at it. */
export async function finishRetirements(ports: RetiringPorts & Pick<ApiPorts, 'log'>): Promise<void> {
  let after: string | undefined;
  do {
    const query = { partition: retirements, index: 'open', ...(after ? { after } : {}) } as const;
    const page = await ports.records.list<Retirement>(query);
    for (const { value } of page.items) {
      try {
        await finishRetirement(ports, value);
      } catch (error) {
        ports.log.error('app not deleted yet', { app: value.app, error: messageOf(error) });
      }
    }
    after = page.next;
  } while (after);
}

async function finishRetirement(ports: RetiringPorts, { app, actor, at }: Retirement): Promise<void> {
  const record = await findApp(ports.records, app);
  // One that was made anew meanwhile is another app.
  if (record && record.createdAt <= at) {
    const parts = partsOf(record);
    await vacate(ports, { ...parts, actor });
    await removeApp(ports, app);
    // Who came in while it drained did so by an app that was there; from now on nobody does.
    await cancelOpen(ports, { ids: await laneHolders(ports, app, parts.environments), actor });
  }
  const stored = await ports.records.find<Retirement>(retirementKey(app));
  if (stored?.value.at === at) await ports.records.remove(stored);
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
    await refuseRetiring(ports, before);
    const after = parseApp(input.input, ports.policy);
    const kept = new Set(refsOf(input.id, after).map(placeOf));
    const refs = refsOf(input.id, before.app).filter((ref) => !kept.has(placeOf(ref)));
    const names = new Set(after.environments.map(({ name }) => name));
    const environments = before.app.environments.map(({ name }) => name).filter((name) => !names.has(name));
    const parts = { app: input.id, refs, environments };
    if (!input.force) await refuseInUse(ports, parts);
    await vacate(ports, { ...parts, actor: input.actor });
  }
  return await applyApp(ports, input);
}

/** What is changed of an app that is to go would go with it. */
async function refuseRetiring({ records }: Pick<ApiPorts, 'records'>, { id, createdAt }: AppRecord): Promise<void> {
  const stored = await records.find<Retirement>(retirementKey(id));
  if (stored && stored.value.at >= createdAt)
    throw new Problem('conflict', `The app ${id} is being deleted; register it again when it is gone`);
}

/** What of an app goes. */
type Parts = {
  readonly app: string;
  readonly refs: readonly TargetRef[];
  /** Environments that go whole, with their lanes and what they have run. */
  readonly environments: readonly string[];
};

function partsOf({ id, app }: AppRecord): Parts {
  return { app: id, refs: refsOf(id, app), environments: app.environments.map(({ name }) => name) };
}

async function holdersOf(ports: Pick<ApiPorts, 'records'>, { app, refs, environments }: Parts) {
  const affected = new Set([...environments, ...refs.map(({ environment }) => environment)]);
  return await laneHolders(ports, app, [...affected]);
}

async function refuseInUse(ports: RetiringPorts, parts: Parts): Promise<void> {
  const holders = await holdersOf(ports, parts);
  const views = await Promise.all(parts.refs.map((ref) => ports.fleet.view(ref)));
  const running = parts.refs.filter((_, at) => (views[at]?.tasks.length ?? 0) > 0).map(placeOf);
  if (running.length + holders.length > 0) throw inUse(parts.app, running);
}

async function vacate(ports: RetiringPorts, parts: Parts & { readonly actor: string }): Promise<void> {
  await cancelOpen(ports, { ids: await holdersOf(ports, parts), actor: parts.actor });
  await Promise.all(parts.refs.map((ref) => ports.fleet.retire(ref)));
  for (const name of parts.environments) {
    await forgetReleases(ports.records, parts.app, name);
    await forgetPointer(ports.records, { app: parts.app, environment: name });
    await forgetLanePast(ports.records, deploymentLane(parts.app, name));
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
