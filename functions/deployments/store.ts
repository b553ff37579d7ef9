import { createRecord, getRecord, updateRecord, type Shape } from '../ports/update.ts';
import type { IndexEntries, RecordKey, Records } from '../ports/records.ts';
import type { EpochMs } from '../runtime/units.ts';
import { isEnd, next, type Event } from './state.ts';
import type { Deployment, TimelineEntry } from './deployment.ts';

/** Past this many entries only state changes are told, so that a record stays far below what a store can hold. */
const maxProgressEntries = 300;

/** What all deployments, newest last, are listed under. */
export const allDeployments = 'deployments';
/** What holds the deployments that are not settled: the reconciler's list of work. */
export const openDeployments = 'deployments/open';

export function lanePartition(app: string, environment: string): string {
  return `deployments/${app}/${environment}`;
}

const shape: Shape<Deployment> = { what: 'deployment', indexesOf };

function keyOf(id: string): RecordKey {
  return { partition: `deployment/${id}`, sort: 'deployment' };
}

function indexesOf(deployment: Deployment): IndexEntries {
  const sort = `${String(deployment.createdAt).padStart(14, '0')}/${deployment.id}`;
  return {
    list: { partition: allDeployments, sort },
    lookup: { partition: lanePartition(deployment.app, deployment.environment), sort },
    ...(deployment.settled ? {} : { open: { partition: openDeployments, sort } }),
  };
}

/** Writes a new deployment; false when there is one of that id already. */
export async function createDeployment(records: Records, deployment: Deployment): Promise<boolean> {
  return (await createRecord(records, shape, { key: keyOf(deployment.id), value: deployment })) !== undefined;
}

export async function findDeployment(records: Records, id: string): Promise<Deployment | undefined> {
  return (await records.find<Deployment>(keyOf(id)))?.value;
}

/** Throws `Problem('not-found')`. */
export async function getDeployment(records: Records, id: string): Promise<Deployment> {
  return (await getRecord<Deployment>(records, shape, { key: keyOf(id), id })).value;
}

/** Takes back a deployment nobody was told of. */
export async function forgetDeployment(records: Records, id: string): Promise<void> {
  const stored = await records.find<Deployment>(keyOf(id));
  if (stored) await records.remove(stored);
}

/** Changes what a deployment knows, but not its state; `change` answers undefined to leave it as it is. */
export async function changeDeployment(
  records: Records,
  id: string,
  change: (deployment: Deployment) => Deployment | undefined,
): Promise<Deployment> {
  return (await updateRecord(records, shape, { key: keyOf(id), id, change })).value;
}

export type Advance = Move & { readonly id: string };

export type Move = {
  readonly at: EpochMs;
  readonly event: Event;
  /** For people: why the state changed. */
  readonly text: string;
  /** What the deployment learns with it. */
  readonly with?: (deployment: Deployment) => Partial<Deployment>;
};

/** Moves a deployment on by one event and tells so in its timeline, in one write; an event that is behind it changes nothing. */
export async function advance(records: Records, step: Advance): Promise<Deployment> {
  return await changeDeployment(records, step.id, (deployment) => move(deployment, step));
}

/** The deployment after an event; undefined when the event is behind it. Pure. */
export function move(deployment: Deployment, step: Move): Deployment | undefined {
  const state = next(deployment.state, step.event);
  if (state === deployment.state) return undefined;
  const moved = { ...deployment, ...step.with?.(deployment), state };
  const text = isEnd(state) ? state.reason : step.text;
  return tell(moved, { at: step.at, kind: state.status, text });
}

export type Telling = Omit<TimelineEntry, 'seq'>;

/** The deployment with one more entry in its timeline, of which its end is the last: who follows it reads no further. */
export function tell(deployment: Deployment, entry: Telling): Deployment {
  if (isEnd(deployment.state) && entry.kind !== deployment.state.status) return deployment;
  const isProgress = entry.kind === 'target';
  if (isProgress && deployment.timeline.length >= maxProgressEntries) return deployment;
  return { ...deployment, timeline: [...deployment.timeline, { seq: deployment.timeline.length + 1, ...entry }] };
}
